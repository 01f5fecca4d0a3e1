"""Local web page that colours photographs."""
