"""From photographs to images and partitions."""
