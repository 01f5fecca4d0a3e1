"""The configuration: its schema, run names and paths."""
