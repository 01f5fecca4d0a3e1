"""Figures of runs, sweeps and stores."""
