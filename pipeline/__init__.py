"""The DeepColor library: arrays and files in, arrays and files out; it never prints and never parses arguments."""

__version__ = "0.1.0"
WORKFLOW = "DEEPCOLOR_WORKFLOW"  # environment variable: host, process and start of the workflow that calls a stage
