"""Proofs, on the user's own data, that nothing leaks: what is compared, planted and counted. No disk is looked at."""
