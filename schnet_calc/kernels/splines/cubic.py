"""Filters as uniform cubic B-splines of the distance.

A filter W(d) depends on one number, so it is evaluated on a grid once and then looked up: twice
continuously differentiable, with a derivative that is the exact derivative of the looked-up value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class SplineGrid:
    """Knots at ``start + k * spacing``, Å, for ``n_intervals`` intervals."""

    start: float
    spacing: float
    n_intervals: int

    @classmethod
    def covering(cls, start: float, stop: float, spacing: float) -> "SplineGrid":
        """The grid over [start, stop] whose spacing is at most the given one.

        Parameters
        ----------
        start, stop : float
            Å.
        spacing : float
            Å, at most.
        """
        n_intervals = max(int(-(-(stop - start) // spacing)), 1)
        return cls(start, (stop - start) / n_intervals, n_intervals)

    @property
    def stop(self) -> float:
        """Last distance of the grid, Å."""
        return self.start + self.spacing * self.n_intervals

    def samples(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
        """(n_intervals + 5,) distances, Å, whose values :func:`spline_table` needs: two beyond each end."""
        steps = torch.arange(-2, self.n_intervals + 3, dtype=torch.float64, device=device)
        return (self.start + self.spacing * steps).to(dtype)


class SplinePairs(NamedTuple):
    """Unordered pairs, ready for look-up."""

    i: Tensor
    """int64 (P,): one atom."""
    j: Tensor
    """int64 (P,): the other."""
    knot: Tensor
    """int64 (P,): first of the four table rows."""
    weights: Tensor
    """(P, 4): of the rows; they hold the cutoff function and the neighbour average."""
    slopes: Tensor
    """(P, 4): derivatives of the weights, 1/Å."""


def spline_table(values: Tensor) -> Tensor:
    """B-spline coefficients of sampled functions (fourth-order local quasi-interpolation).

    Parameters
    ----------
    values : Tensor
        (..., K + 5, F), at :meth:`SplineGrid.samples`.

    Returns
    -------
    Tensor
        (..., K + 3, F); row k to k + 3 belong to interval k.
    """
    return (8.0 * values[..., 1:-1, :] - values[..., :-2, :] - values[..., 2:, :]) / 6.0


def spline_pairs(
    grid: SplineGrid,
    i: Tensor,
    j: Tensor,
    distances: Tensor,
    envelope: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> SplinePairs:
    """Table rows and their weights for each pair.

    Parameters
    ----------
    grid : SplineGrid
        Of the table.
    i, j : Tensor
        int64 (P,), the atoms.
    distances : Tensor
        (P,), Å.
    envelope : callable
        (P,) distances -> factor and its derivative, multiplied into the weights.
    """
    x = (distances - grid.start) / grid.spacing
    knot = x.floor().clamp(0, grid.n_intervals - 1)
    t = (x - knot).clamp(max=1.0)  # constant beyond the last knot
    s = 1.0 - t
    weights = torch.stack((s**3, t * t * (3.0 * t - 6.0) + 4.0, s * s * (3.0 * s - 6.0) + 4.0, t**3), dim=1)
    slopes = torch.stack((-s * s, t * (3.0 * t - 4.0), s * (4.0 - 3.0 * s), t * t), dim=1)
    factor, slope = envelope(distances)
    weights = weights / 6.0
    rate = factor * (x <= grid.n_intervals) / (2.0 * grid.spacing)
    slopes = slopes * rate[:, None] + weights * slope[:, None]
    return SplinePairs(i, j, knot.long(), weights * factor[:, None], slopes)
