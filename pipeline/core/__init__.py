"""Files, locks, tasks, errors and progress, which every other package uses."""
