"""Splines that stand for functions of the distance."""
