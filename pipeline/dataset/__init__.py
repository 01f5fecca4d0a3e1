"""Reading a source of images into a store, with its index and its split."""
