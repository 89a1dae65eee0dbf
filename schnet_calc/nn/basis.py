"""Radial basis, cutoff function and activation (thesis Eqs. 3.4 and 4.8)."""

import math

import torch
from torch import Tensor, nn


class ShiftedSoftplus(nn.Module):
    """``ssp(x) = ln(0.5 exp(x) + 0.5)`` (thesis Eq. 4.8): smooth to all orders, zero at zero."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation element by element; any shape."""
        return nn.functional.softplus(x) - math.log(2.0)


class GaussianBasis(nn.Module):
    """Expansion of a distance in Gaussians, ``exp(-(d - mu_k)^2 / (2 width^2))`` (thesis Eq. 3.4).

    Parameters
    ----------
    start, stop : float
        Centres of the first and the last Gaussian, Å.
    n_gaussians : int
        Number of Gaussians, evenly spaced.
    width : float
        Standard deviation of each, Å.
    """

    centers: Tensor

    def __init__(self, start: float, stop: float, n_gaussians: int, width: float) -> None:
        super().__init__()
        self.register_buffer("centers", torch.linspace(start, stop, n_gaussians))
        self.coefficient = -0.5 / width**2

    def forward(self, distances: Tensor) -> Tensor:
        """(P,) distances in Å -> (P, n_gaussians)."""
        return torch.exp(self.coefficient * (distances[:, None] - self.centers) ** 2)


class CosineCutoff(nn.Module):
    """``(1 + cos(pi d / cutoff)) / 2`` inside the cutoff, zero outside; or one, where switched off.

    Parameters
    ----------
    cutoff : float
        Distance at which it vanishes together with its slope, Å.
    active : bool
        False gives a factor of one everywhere: the thesis's models of molecules have no cutoff.
    """

    def __init__(self, cutoff: float, active: bool = True) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.active = active

    def forward(self, distances: Tensor) -> Tensor:
        """(P,) distances in Å -> (P,) factors."""
        if not self.active:
            return torch.ones_like(distances)
        inside = (distances < self.cutoff).to(distances.dtype)
        return 0.5 * (torch.cos(distances * (math.pi / self.cutoff)) + 1.0) * inside
