"""Inspection and verification of stores."""
