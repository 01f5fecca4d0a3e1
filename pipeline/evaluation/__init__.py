"""Metrics, confidence intervals, baselines, and the loop that scores predictors."""
