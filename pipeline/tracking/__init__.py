"""Trackers of experiments, such as MLflow: where training and evaluation also report to."""
