"""The embedding networks."""
