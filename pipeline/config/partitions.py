"""The partitions of a split. Imports nothing, because commands need it before they parse arguments."""

PARTITIONS = ("train", "validation", "test")
