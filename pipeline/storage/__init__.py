"""Zarr stores of images and embeddings."""
