"""The partitions of a split. Commands import this before they parse arguments, so it imports nothing."""

PARTITIONS = ("train", "validation", "test")
