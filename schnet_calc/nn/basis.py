"""Radial bases and cutoff functions (thesis Eq. 3.4, and those of other SchNet codes)."""

import math

import torch
from torch import Tensor, nn


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
        exponents = self.coefficient * (distances[:, None] - self.centers) ** 2
        # Of Gaussians far away; where results are subnormal numbers, exp takes eight times as long.
        return torch.exp(exponents.clamp(min=-80.0))


class BesselBasis(nn.Module):
    """Spherical waves ``sin(k pi d / cutoff) / d`` that vanish at the cutoff (DimeNet, Eq. 7, unnormalised).

    Parameters
    ----------
    cutoff : float
        Å.
    n_functions : int
        Number of waves, k = 1, 2, ...
    """

    frequencies: Tensor

    def __init__(self, cutoff: float, n_functions: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.arange(1, n_functions + 1) * (math.pi / cutoff))

    def forward(self, distances: Tensor) -> Tensor:
        """(P,) distances in Å -> (P, n_functions), 1/Å; smooth through zero."""
        return self.frequencies * torch.sinc(distances[:, None] * self.frequencies / math.pi)


class CutoffFunction(nn.Module):
    """Factor that makes pairs vanish at the cutoff.

    With x = d / cutoff, inside the cutoff: ``cosine`` (1 + cos(pi x)) / 2; ``mollifier``
    exp(1 - 1 / (1 - x²)); ``switch`` f(1 - u) / (f(u) + f(1 - u)) with f(u) = exp(-1/u) and u running from 0
    at the onset to 1 at the cutoff; ``hard`` one. Outside zero. ``none`` is one everywhere: the thesis's
    models of molecules have no cutoff.

    Parameters
    ----------
    cutoff : float
        Distance from which on it is zero, Å.
    kind : str
        One of ``schnet_calc.nn.config.CUTOFF_FUNCTIONS``.
    onset : float
        Where ``switch`` begins to fall, Å.
    """

    def __init__(self, cutoff: float, kind: str, onset: float) -> None:
        super().__init__()
        self.cutoff, self.kind, self.onset = cutoff, kind, onset

    def forward(self, distances: Tensor) -> Tensor:
        """(P,) distances in Å -> (P,) factors."""
        if self.kind == "none":
            return torch.ones_like(distances)
        inside = (distances < self.cutoff).to(distances.dtype)
        if self.kind == "hard":
            return inside
        if self.kind == "cosine":
            return 0.5 * (torch.cos(distances * (math.pi / self.cutoff)) + 1.0) * inside
        if self.kind == "mollifier":
            x = distances * inside / self.cutoff
            return torch.exp(1.0 - 1.0 / (1.0 - x * x)) * inside
        u = ((distances - self.onset) / (self.cutoff - self.onset)).clamp(0.0, 1.0)
        rise, fall = torch.exp(-1.0 / u.clamp(min=1e-9)), torch.exp(-1.0 / (1.0 - u).clamp(min=1e-9))
        return fall / (rise + fall) * inside

    @torch.jit.unused
    def with_slope(self, distances: Tensor) -> tuple[Tensor, Tensor]:
        """(P,) distances in Å -> factors and their derivatives, 1/Å, both (P,)."""
        factor = self.forward(distances)
        if self.kind in ("none", "hard"):
            return factor, torch.zeros_like(factor)
        inside = (distances < self.cutoff).to(distances.dtype)
        if self.kind == "cosine":
            rate = math.pi / self.cutoff
            return factor, -0.5 * rate * torch.sin(distances * rate) * inside
        if self.kind == "mollifier":
            x = distances * inside / self.cutoff
            return factor, -2.0 * x * factor / (self.cutoff * (1.0 - x * x) ** 2)
        # With the logistic form 1 / (1 + exp(h)), h = 1/(1-u) - 1/u, the slope is -factor (1-factor) h'.
        width = self.cutoff - self.onset
        u = ((distances - self.onset) / width).clamp(1e-3, 1.0 - 1e-3)
        between = ((distances > self.onset) & (distances < self.cutoff)).to(distances.dtype)
        steepness = (1.0 / (1.0 - u) ** 2 + 1.0 / u**2) / width
        return factor, -factor * (1.0 - factor) * steepness * between
