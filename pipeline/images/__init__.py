"""Colour conversion, and reading and writing photographs."""
