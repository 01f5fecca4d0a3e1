"""Figures: learning curves, pictures beside the truth, error maps, colours used, sweeps, and what stores hold."""
