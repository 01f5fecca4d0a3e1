"""Colouring photographs with a trained run, and exporting runs."""
