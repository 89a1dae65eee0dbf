"""Extrapolation: what the training data hold, and what happens beyond."""
