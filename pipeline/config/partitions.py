"""The parts of a split. Commands import this before they read their arguments, so it imports nothing."""

PARTITIONS = ("train", "validation", "test")
