"""From a source of images to a store, its index and its split."""
