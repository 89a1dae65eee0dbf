"""A SchNet's energies, forces and virials as tensor operations: where there are no kernels, and their oracle.

A filter and its slope are polynomials between two knots: one product of the pair's weights with their coefficients
gives both.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor

from schnet_calc.kernels.cuda.batch import Batch, Outputs
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.splines.polynomials import polynomial_tables, powers
from schnet_calc.kernels.splines.quintic import quintic_tables
from schnet_calc.kernels.torch.ops import neighbor_shares
from schnet_calc.kernels.torch.read_out import head_values, head_weights
from schnet_calc.nn import Interaction, SchNet
from schnet_calc.nn.activation import slope

FAR = 1e5
"""Å; length of what is no pair."""
SLICE = 2**17
"""Pairs whose rows of the table are taken at a time."""


class LookUp(NamedTuple):
    """Directed pairs, ready for look-up; what is no pair has weights of zero."""

    i: Tensor
    """int64 (E,): who receives."""
    j: Tensor
    """int64 (E,)"""
    interval: Tensor
    """int64 (E,): of the table."""
    weights: Tensor
    """(E, 2, 6): of the interval's coefficients in the filter and in its slope, 1/Å; they hold the cutoff
    function and the neighbour average."""


def look_up(network: SchNet, grid: SplineGrid, i: Tensor, j: Tensor, d: Tensor) -> LookUp:
    """Find where each directed pair (i, j) at distance d (E,), float64, looks into the tables.

    Parameters
    ----------
    network : SchNet
        Whose filters are in the tables.
    grid : SplineGrid
        Their knots, Å.
    i, j : Tensor
        (E,) indices of receivers and senders.
    d : Tensor
        (E,) distances, Å.
    """
    x = (d - grid.start) / grid.spacing
    interval = x.floor().clamp(0, grid.n_intervals - 1)
    values, slopes = powers((x - interval).clamp(max=1.0))  # constant behind the last knot
    share = 1.0 / (network.config.neighbor_average or 1.0)
    factor, falling = (share * f[:, None] for f in network.cutoff.with_slope(d))
    rate = (x <= grid.n_intervals).to(d.dtype)[:, None] / grid.spacing
    weights = torch.stack((factor * values, falling * values + factor * rate * slopes), dim=1)
    return LookUp(i, j, interval.long(), weights * (d < FAR)[:, None, None])


def convolve(table: Tensor, y: Tensor, pairs: LookUp) -> Tensor:
    """Continuous-filter convolution v_i = sum_j W(d_ij) y_j, of features (N, K) and a table (intervals, 6, K).

    Parameters
    ----------
    table : Tensor
        (intervals, 6, K) coefficients of the filters, without a unit.
    y : Tensor
        (N, K) features.
    pairs : LookUp
        Where the pairs look.
    """
    v = torch.zeros_like(y)
    for part in _slices(pairs):
        filters = torch.bmm(part.weights[:, :1], table.index_select(0, part.interval))[:, 0]
        v.index_add_(0, part.i, filters * y.index_select(0, part.j))
    return v


def convolve_adjoint(table: Tensor, y: Tensor, g: Tensor, pairs: LookUp) -> tuple[Tensor, Tensor]:
    """Return dE/dy (N, K), and dE/dd (E,) of both directions together, from y and g = dE/dv (N, K).

    Parameters
    ----------
    table, y, pairs
        As in :func:`convolve`.
    g : Tensor
        (N, K) derivatives of the energy, eV, by the sums.
    """
    u, found = torch.zeros_like(y), []
    for part in _slices(pairs):
        both = torch.bmm(part.weights, table.index_select(0, part.interval))
        gi, gj = g.index_select(0, part.i), g.index_select(0, part.j)
        u.index_add_(0, part.i, both[:, 0] * gj)
        cross = y.index_select(0, part.i) * gj + y.index_select(0, part.j) * gi
        found.append((both[:, 1] * cross).sum(1))
    return u, torch.cat(found)


def _slices(pairs: LookUp) -> list[LookUp]:
    parts = (x.split(SLICE) for x in pairs)
    return [LookUp(*part) for part in zip(*parts, strict=True)]


class TensorSequence:
    """The network as tensor operations; no step depends on values, only on sizes.

    Parameters
    ----------
    network : SchNet
        In float64.
    grid : SplineGrid
        Of the tables of its filters.
    device : torch.device
        Where to.
    dtype : torch.dtype
        Of the network; the geometry is float64.
    """

    def __init__(self, network: SchNet, grid: SplineGrid, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype, self.grid = device, dtype, grid
        with torch.no_grad():
            self.tables = polynomial_tables(quintic_tables(network, grid)).to(device, dtype)
        self.network = network.to(device, dtype)

    @property
    def bytes_per_atom(self) -> int:
        """Of the features that are kept for the way back, about."""
        config = self.network.config
        return config.n_interactions * (config.n_features + config.filter_width) * self.dtype.itemsize

    @property
    def bytes_per_pair(self) -> int:
        """Of a directed pair, about; the rows of the tables come in slices."""
        return 12 * (8 + self.dtype.itemsize) + 100

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outputs:
        """Evaluate a batch on the device."""
        n_atoms = len(batch.numbers)
        some = torch.arange(len(batch.senders), device=self.device) % n_atoms
        real = batch.receivers < n_atoms
        # Room that is not in use adds zeros, to many atoms: all to one would wait for each other.
        i, j = torch.where(real, batch.receivers, some), batch.senders.long()
        vectors = batch.positions[j] + batch.shifts - batch.positions[i]
        d = torch.where(real, torch.linalg.vector_norm(vectors, dim=1), 2.0 * FAR)
        pairs = look_up(self.network, self.grid, i, j, d)
        pairs = pairs._replace(weights=pairs.weights.to(self.dtype))
        share = neighbor_shares(self.network, i, d, n_atoms)
        energies, slopes, x, hidden = self._network(batch.numbers, pairs, share)
        slopes = (slopes.to(torch.float64) * real)[:, None]
        unit = vectors / d[:, None]
        shortest = torch.full_like(batch.positions[:, 0], torch.inf).scatter_reduce(0, i, d, "amin")
        forces = torch.zeros_like(batch.positions).index_add(0, i, slopes * unit)
        strains = 0.5 * slopes * unit[:, [0, 1, 2, 1, 0, 0]] * vectors[:, [0, 1, 2, 2, 2, 1]]
        virials = sums_of_structures(batch, unit.new_zeros(n_atoms, 6).index_add(0, i, strains))
        atoms = torch.cat((energies.to(torch.float64)[:, None], forces, shortest[:, None]), dim=1)
        return Outputs(torch.cat((atoms.reshape(-1), virials.reshape(-1))), x, hidden)

    def _network(self, numbers: Tensor, pairs: LookUp, share: Tensor | float) -> tuple[Tensor, ...]:
        """Atomic energies (N,), their derivatives by the distances (E,), last features, last hidden units."""
        network, tables, tape = self.network, self.tables, []
        blocks = cast(list[Interaction], list(network.interactions))
        x = network.embedding(numbers)
        for t, block in enumerate(blocks):
            y = block.dense_in(x)
            a = block.dense_hidden(share * convolve(tables[t % len(tables)], y, pairs))
            x = x + block.dense_out(block.activation(a))
            tape.append((tables[t % len(tables)], y, a))
        config = network.config
        energies, gx, layers = head_values(x, config.head_activation, head_weights(network))
        gx, slopes = cast(Tensor, gx), x.new_zeros(len(pairs.i))
        for block, (table, y, a) in zip(reversed(blocks), reversed(tape), strict=True):
            gv = (slope(config.activation, a) * (gx @ block.dense_out.weight)) @ block.dense_hidden.weight
            gy, by_distances = convolve_adjoint(table, y, share * gv, pairs)
            slopes, gx = slopes + by_distances, gx + gy @ block.dense_in.weight
        return energies, slopes, x, layers.last


def sums_of_structures(batch: Batch, of_atoms: Tensor) -> Tensor:
    """Return (B, K) sums over the atoms of each structure of numbers (N, K) of any unit.

    Parameters
    ----------
    batch : Batch
        Whose atoms, and whose room.
    of_atoms : Tensor
        (N, K); what atoms that are not in use have is left out.
    """
    places = torch.arange(len(of_atoms), dtype=torch.int32, device=of_atoms.device)
    system = torch.searchsorted(batch.first_atoms, places, right=True) - 1
    n_structures = len(batch.first_atoms) - 1
    sums = of_atoms.new_zeros(n_structures + 1, of_atoms.shape[1]).index_add(0, system, of_atoms)
    return sums[:n_structures]
