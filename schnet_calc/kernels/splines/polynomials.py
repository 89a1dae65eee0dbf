"""Tables of the filters as the polynomials that they are between two knots.

A B-spline's slope is a difference of its coefficients over the spacing, and rounding them to float32 spoils it.
The coefficients of the powers of t are such differences, taken in float64: values and slopes keep the type's
precision, and come from the same numbers, so that forces stay the exact derivative of the energy.
"""

import torch
from torch import Tensor

POWERS = 6
"""Coefficients of a polynomial of fifth degree."""
_BASIS = (
    (1.0, -5.0, 10.0, -10.0, 5.0, -1.0),
    (26.0, -50.0, 20.0, 20.0, -20.0, 5.0),
    (66.0, 0.0, -60.0, 0.0, 30.0, -10.0),
    (26.0, 50.0, 20.0, -20.0, -20.0, 10.0),
    (1.0, 5.0, 10.0, 10.0, 5.0, -5.0),
    (0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
)
"""120 times the coefficients of 1, t ... t⁵ in the six B-splines that are not zero between two knots."""


def polynomial_tables(coefficients: Tensor) -> Tensor:
    """Return (..., K, 6, F) coefficients of 1, t ... t⁵ for each of K intervals, t from 0 to 1.

    Parameters
    ----------
    coefficients : Tensor
        float64 (..., K + 5, F) of :func:`~schnet_calc.kernels.splines.quintic.quintic_tables`.
    """
    basis = torch.tensor(_BASIS, dtype=coefficients.dtype, device=coefficients.device) / 120.0
    return torch.einsum("...kfm,mp->...kpf", coefficients.unfold(-2, 6, 1), basis).contiguous()


def powers(t: Tensor) -> tuple[Tensor, Tensor]:
    """Return 1, t ... t⁵ and their derivatives, both (P, 6), of t (P,); no units."""
    whole = torch.stack([t**m for m in range(POWERS)], dim=1)
    degrees = torch.arange(1, POWERS, dtype=t.dtype, device=t.device)
    return whole, torch.nn.functional.pad(degrees * whole[:, :-1], (1, 0))
