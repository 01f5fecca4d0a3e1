"""A page on this machine that colours photographs, for whom a command is not the thing."""
