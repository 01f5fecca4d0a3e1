"""The colouring networks."""
