"""Continuous-filter convolutions over unordered pairs with filters from a spline table."""

from schnet_calc.kernels.splines.cubic import SplineGrid, SplinePairs, spline_table

__all__ = ["SplineGrid", "SplinePairs", "spline_table"]
