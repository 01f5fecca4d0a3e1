"""What stands in the way of the work, and what it will take."""
