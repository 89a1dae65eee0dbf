"""Tables of the filters for evaluation: uniform B-splines of fifth degree, as coarse as a tolerance allows.

Their error falls with the sixth power of the spacing, so that tables for forces within 1e-6 eV/Å stay
small enough for a processor's cache. Values and slopes come from the same coefficients: forces are the
exact derivative of the splined energy, which is four times continuously differentiable.
"""

import copy
import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from ase.data import covalent_radii
from torch import Tensor, nn

from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.nn import SchNet, SchNetConfig

TOLERANCE = {torch.float64: 1e-7, torch.float32: 4e-6}
"""Largest error of a force component that tables may cause, eV/Å: below what the type itself does."""
MARGIN = 4.0
"""Other geometries may have larger errors than the one that is measured."""
USUAL_FORCE = 10.0
"""eV/Å, root mean square; where the network's forces are larger, so may errors be."""
FIRST, FINEST = 25.0, 1600.0
"""Knots per Å to begin with, and at most."""
PROBE_ATOMS = 16


def quintic_tables(network: SchNet, grid: SplineGrid) -> Tensor:
    """Return (n_filters, K + 5, F) coefficients by local quasi-interpolation; rows k to k + 5 are interval k's."""
    steps = torch.arange(-4, grid.n_intervals + 5, dtype=torch.float64)
    basis = network.basis(grid.start + grid.spacing * steps)
    v = torch.stack([filters(basis) for filters in network.filters])
    n = v.shape[1] - 4
    near, far = v[:, 1 : n + 1] + v[:, 3 : n + 3], v[:, :n] + v[:, 4:]
    return (13.0 * far - 112.0 * near + 438.0 * v[:, 2 : n + 2]) / 240.0


def table_end(config: SchNetConfig) -> float:
    """Å, where the tables of a network end: at the cutoff, or where the last Gaussian has faded.

    Without a cutoff function filters are constant from there on, to the last bit: exp(-0.5 · 9²) is below
    1e-17.
    """
    return min(config.reach, config.stop + 9.0 * config.width)


def choose_grid(
    network: SchNet, elements: Sequence[int], closest: float = 0.0, tolerance: float = 1e-6
) -> tuple[SplineGrid, float]:
    """Return the coarsest grid, up to a fifth, that keeps the forces within a tolerance.

    Measured on a random cluster of atoms, where a quarter of the tolerance is asked for. A network that was trained
    on something very different may have forces of thousands of eV/Å there; then errors are counted in proportion
    to them, since tables as fine as 1e-10 of a force are of no use where the network is, and fill the cache.

    Parameters
    ----------
    network : SchNet
        In float64.
    elements : sequence of int
        Atomic numbers to make the cluster of.
    closest : float
        Å; no two atoms of the cluster are closer.
    tolerance : float
        eV/Å.

    Returns
    -------
    SplineGrid, float
        The grid, and the largest error of a force component on the cluster, eV/Å, for forces of
        :data:`USUAL_FORCE`.
    """
    numbers, positions = _cluster(elements, closest)
    exact = _forces(network, numbers, positions)
    tolerance = tolerance / MARGIN
    excess = max(1.0, float(exact.pow(2).mean().sqrt()) / USUAL_FORCE)
    knots = too_few = FIRST
    error = partial(_error, network, numbers, positions, exact)
    while (found := error(knots) / excess) > tolerance and knots < FINEST:
        # The error of a slope falls with the fifth power of the spacing, once that is fine enough.
        too_few, knots = knots, min(knots * max(1.2, 1.1 * (found / tolerance) ** 0.2), FINEST)
    while knots > 1.2 * too_few:
        fewer = math.sqrt(knots * too_few)
        if (other := error(fewer) / excess) <= tolerance:
            knots, found = fewer, other
        else:
            too_few = fewer
    return SplineGrid.covering(0.0, table_end(network.config), 1.0 / knots), found


def _error(network: SchNet, numbers: Tensor, positions: Tensor, exact: Tensor, knots: float) -> float:
    """Largest error of a force component, eV/Å, with tables of so many knots per Å."""
    grid = SplineGrid.covering(0.0, table_end(network.config), 1.0 / knots)
    return float((_forces(_splined(network, grid), numbers, positions) - exact).abs().max())


def _splined(network: SchNet, grid: SplineGrid) -> SchNet:
    """The same network with its filters looked up."""
    splined = copy.copy(network)
    splined._modules = dict(network._modules)
    splined.basis = _Distances()  # type: ignore[assignment]
    splined.filters = nn.ModuleList(_QuinticFilter(grid, t) for t in quintic_tables(network, grid))
    return splined


class _Distances(nn.Module):
    """In place of the Gaussians: the spline takes the distance itself."""

    def forward(self, distances: Tensor) -> Tensor:
        return distances[:, None]


class _QuinticFilter(nn.Module):
    """A table as a differentiable function of the distance."""

    def __init__(self, grid: SplineGrid, table: Tensor) -> None:
        super().__init__()
        self.grid, self.table = grid, table

    def forward(self, distances: Tensor) -> Tensor:
        x = (distances[:, 0] - self.grid.start) / self.grid.spacing
        knot = x.detach().floor().clamp(0, self.grid.n_intervals - 1)
        t = x - knot
        rows = knot.long()[:, None] + torch.arange(6)
        weights = torch.stack(quintic_weights(t), dim=1)
        return torch.einsum("pm,pmf->pf", weights, self.table[rows])


def quintic_weights(t: Tensor) -> tuple[Tensor, ...]:
    """Return the six B-spline weights (P,) that aren't zero at t (P,) in [0, 1): the compiled one's oracle."""
    s = 1.0 - t
    return s**5 / 120.0, _second(s), _third(s), _third(t), _second(t), t**5 / 120.0


def _second(x: Tensor) -> Tensor:
    return (1.0 + x * (5.0 + x * (10.0 + x * (10.0 + x * (5.0 - 5.0 * x))))) / 120.0


def _third(x: Tensor) -> Tensor:
    return (26.0 + x * (50.0 + x * (20.0 + x * (-20.0 + x * (-20.0 + 10.0 * x))))) / 120.0


def _cluster(elements: Sequence[int], closest: float) -> tuple[Tensor, Tensor]:
    """Random atoms, about as close as bonded ones."""
    rng = np.random.default_rng(0)
    numbers: list[int] = []
    places: list[np.ndarray] = []
    size = 2.0
    while len(places) < PROBE_ATOMS:
        number, place = int(rng.choice(elements)), rng.uniform(-size, size, 3)
        size *= 1.002
        reach = [max(closest, 0.9 * (covalent_radii[number] + covalent_radii[n])) for n in numbers]
        if all(np.linalg.norm(place - p) > r for p, r in zip(places, reach, strict=True)):
            numbers.append(number)
            places.append(place)
    return torch.tensor(numbers), torch.from_numpy(np.array(places))


def _forces(network: SchNet, numbers: Tensor, positions: Tensor) -> Tensor:
    x = positions.clone().requires_grad_()
    pairs = torch.cartesian_prod(*[torch.arange(len(x))] * 2).T
    pairs = pairs[:, pairs[0] != pairs[1]]
    shifts, system = x.new_zeros(pairs.shape[1], 3), torch.zeros_like(numbers)
    with torch.enable_grad():
        energies = network(numbers, x, pairs, shifts, system)
    (gradient,) = torch.autograd.grad(energies.sum(), x)
    return -gradient
