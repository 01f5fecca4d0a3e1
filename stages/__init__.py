"""One command per stage of the pipeline: `python -m stages --help`."""
