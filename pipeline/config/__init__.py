"""The configuration: its schema, run names, and where files lie."""
