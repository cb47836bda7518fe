"""Scores, intervals, calibration, backtests, significance: pure functions of predictions and labels."""
