"""Colours for photographs."""
