"""Purged cross-validation that stores out-of-fold predictions, and nested tuning."""
