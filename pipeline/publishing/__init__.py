"""Publishing a trained network."""
