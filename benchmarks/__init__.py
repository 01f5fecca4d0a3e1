"""Speed, memory and size, measured as ratios: `make bench`."""
