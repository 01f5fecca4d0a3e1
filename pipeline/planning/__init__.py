"""Before any work: checks, and estimates of time, disk and memory."""
