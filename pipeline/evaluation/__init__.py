"""What is measured, and how sure it is."""
