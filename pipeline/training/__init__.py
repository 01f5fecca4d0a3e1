"""Training runs: data, loop, checkpoints and history."""
