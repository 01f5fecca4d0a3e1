"""Looking into stores, and whether they are whole."""
