"""Colour and photographs."""
