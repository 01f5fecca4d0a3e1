"""The DeepColor library: arrays and files in, arrays and files out; it never prints and never parses arguments."""

__version__ = "0.1.0"
WORKFLOW = "DEEPCOLOR_WORKFLOW"  # environment variable: the workflow that calls a stage; see locks.name_of
SINCE = "DEEPCOLOR_SINCE"  # environment variable: when that workflow started, in seconds since 1970
