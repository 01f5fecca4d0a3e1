"""Results of runs: evaluation, summary, web page and model card."""
