"""Prepare, cross-validate, train, evaluate, predict: the one floor where disk and mathematics meet."""
