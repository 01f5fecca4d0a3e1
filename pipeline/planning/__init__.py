"""Checks before the workflow starts, and estimates of time, disk and memory."""
