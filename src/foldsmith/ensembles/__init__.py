"""Ensembles: models over the probabilities of base models."""
