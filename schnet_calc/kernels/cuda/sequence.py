"""Energies, forces and virials of a batch by kernels: six for each block, four more."""

from typing import Any

import torch
from torch import Tensor

from schnet_calc.kernels.cpu.envelope import CUTOFFS
from schnet_calc.kernels.cuda import dense, pairs
from schnet_calc.kernels.cuda.activation import KINDS
from schnet_calc.kernels.cuda.batch import Batch, Outputs
from schnet_calc.kernels.cuda.weights import kernel_weights
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.torch.ops import neighbor_shares
from schnet_calc.kernels.torch.read_out import head_values, head_weights
from schnet_calc.nn import SchNet

TILE = 1024
"""Numbers of a program's tile of pairs by features."""
ROWS, COLUMNS, DEPTH = 16, 32, 32
"""Of the tiles of a dense layer."""


class FusedSequence:
    """The network as a sequence of kernels; no step depends on values, only on sizes.

    Parameters
    ----------
    network : SchNet
        In float64.
    grid : SplineGrid
        Of the tables of its filters.
    device : torch.device
        Where to; on the CPU the kernels are interpreted, with ``TRITON_INTERPRET=1`` in the environment.
    dtype : torch.dtype
        Of the network; the geometry is float64.
    """

    def __init__(self, network: SchNet, grid: SplineGrid, device: torch.device, dtype: torch.dtype) -> None:
        config = network.config
        self.weights = kernel_weights(network, grid).to(device, dtype)
        self.network, self.device, self.dtype = network.to(device, dtype), device, dtype
        self.n_blocks, self.n_features, self.n_filters = (
            config.n_interactions,
            config.n_features,
            config.filter_width,
        )
        self.kind, self.head_kind = KINDS[config.activation], KINDS[config.head_activation]
        self.cutoff = CUTOFFS[config.cutoff_function]
        self.stride = self.n_filters + 2 * self.n_features
        """Numbers in a row of a block: y, x, f(a); on the way back their derivatives."""
        self.n_units = len(self.weights.head[0])
        self.width = _power(self.n_filters)
        # Interpreted, a wide tile costs what a narrow one does.
        self.lanes = max(TILE // self.width, 1) if device.type == "cuda" else 64

    @property
    def bytes_per_atom(self) -> int:
        """Of the features that are kept for the way back, about."""
        return self.n_blocks * (self.stride + self.n_features) * self.dtype.itemsize

    @property
    def bytes_per_pair(self) -> int:
        """Of a directed pair, about."""
        return 5 * self.dtype.itemsize + 4 + 32

    def launch(self, kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
        """Start a kernel."""
        kernel[grid](*arguments, **constants)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outputs:
        """Evaluate a batch on the device."""
        call = _Call(self, batch)
        call.upwards()
        call.read_out()
        call.downwards()
        return call.outputs()


class _Call:
    """One evaluation: its arrays, and the kernels in their order."""

    def __init__(self, sequence: FusedSequence, batch: Batch) -> None:
        self.of, self.batch = sequence, batch
        n_atoms, n_pairs, n_structures = len(batch.numbers), len(batch.senders), len(batch.first_atoms) - 1
        real = self.real
        self.grid, self.n_atoms = (n_atoms,), n_atoms
        self.place, self.factors = real(n_pairs, dtype=torch.int32), real(n_pairs, 4)
        self.geometry, self.slopes = real(n_pairs, 4, dtype=torch.float64), real(n_pairs)
        self.numbers = real(5 * n_atoms + 6 * n_structures, dtype=torch.float64)
        self.rows = [real(n_atoms, sequence.stride) for _ in range(sequence.n_blocks)]
        self.a = [real(n_atoms, sequence.n_features) for _ in range(sequence.n_blocks)]
        self.last = real(n_atoms, sequence.n_units + sequence.n_features)
        self.q, self.hidden = real(n_atoms, sequence.n_units), real(n_atoms, sequence.n_units)

    def real(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Room for numbers (...,), of the network's type by default."""
        return torch.empty(shape, dtype=dtype or self.of.dtype, device=self.of.device)

    def pairs(self, t: int) -> tuple[Tensor, ...]:
        """The pairs as the kernels of a block take them: with its table, its y and their bias."""
        tables, batch = self.of.weights.tables, self.batch
        where = (batch.first, batch.senders, self.place, self.factors)
        return *where, tables[t % len(tables)], self.rows[t], self.of.weights.biases[t]

    def layer(self, n_in: int, n_out: int) -> tuple[tuple[int, int], dict[str, int]]:
        """Grid and constants of a kernel for a dense layer."""
        of, constants = self.of, {"N_IN": n_in, "N_OUT": n_out}
        grid = (-(-self.n_atoms // ROWS), -(-n_out // COLUMNS))
        tiles = {"BR": ROWS, "BC": COLUMNS, "BI": DEPTH}
        return grid, {**constants, "STRIDE": of.stride, "KIND": of.kind, **tiles}

    def upwards(self) -> None:
        """Distances, and features block by block."""
        of, batch, weights = self.of, self.batch, self.of.weights
        n_features, n_filters, wide = of.n_features, of.n_filters, {"BK": of.width, "BE": of.lanes}
        width = n_filters + n_features
        where = (batch.numbers, batch.positions, batch.first, batch.senders, batch.shifts)
        found = (self.rows[0], self.place, self.factors, self.geometry, self.numbers)
        constants = {
            "WIDTH": width,
            "STRIDE": of.stride,
            "CUTOFF": of.cutoff,
            "BW": _power(width),
            "BE": 32,
        }
        of.launch(pairs.locate, self.grid, *where, weights.constants, weights.lifted, *found, **constants)
        self.share = self.shares()
        for t in range(of.n_blocks):
            v, rows = self.real(self.n_atoms, n_filters), self.rows[t]
            of.launch(pairs.convolve, self.grid, *self.pairs(t), v, K=n_filters, STRIDE=of.stride, **wide)
            if of.network.averages:
                v *= self.share
            grid, constants = self.layer(n_filters, n_features)
            layer = (weights.hidden[t], weights.hidden_biases[t], self.a[t], rows[:, width:], self.n_atoms)
            of.launch(dense.dense, grid, v, *layer, **constants)
            following = self.rows[t + 1][:, :width] if t + 1 < of.n_blocks else self.last
            torch.mm(rows[:, n_filters:], weights.merged[t], out=following)

    def shares(self) -> Tensor | float:
        """What sums over neighbours are multiplied by."""
        if not self.of.network.averages:
            return 1.0
        receivers = self.batch.receivers
        d = torch.where(receivers < self.n_atoms, self.geometry[:, 3], torch.inf)
        return neighbor_shares(self.of.network, receivers.clamp(max=self.n_atoms - 1), d, self.n_atoms)

    def read_out(self) -> None:
        """Energies, and their derivatives by what the head reads."""
        of, head = self.of, self.of.weights.head
        if of.n_units:
            a = self.last
            grid, constants = (-(-self.n_atoms // ROWS),), {"H": of.n_units, "STRIDE": a.shape[1]}
            tiles = {"KIND": of.head_kind, "BR": ROWS, "BH": _power(of.n_units)}
            found = (self.q, self.hidden, self.numbers, self.n_atoms)
            of.launch(dense.read_out, grid, a, *head, *found, **constants, **tiles)
            return
        energies, gx, layers = head_values(
            self.features(), of.network.config.head_activation, head_weights(of.network)
        )
        assert gx is not None
        self.numbers[: 5 * self.n_atoms].view(-1, 5)[:, 0] = energies
        self.q, self.hidden = gx, layers.last

    def features(self) -> Tensor:
        """(N, F) after all interactions."""
        return self.last[:, self.of.n_units :] + self.of.weights.shift

    def downwards(self) -> None:
        """Derivatives block by block, forces and virials."""
        of, weights, n_filters = self.of, self.of.weights, self.of.n_filters
        wide, width, above = {"BK": of.width, "BE": of.lanes}, n_filters + of.n_features, self.q
        for t in reversed(range(of.n_blocks)):
            rows, gv = self.real(self.n_atoms, of.stride), self.real(self.n_atoms, n_filters)
            torch.mm(above, weights.merged_adjoint[t], out=rows[:, n_filters:])
            grid, constants = self.layer(of.n_features, n_filters)
            layer = (rows[:, width:], self.a[t], weights.hidden_adjoint[t], gv, self.n_atoms)
            of.launch(dense.dense_adjoint, grid, *layer, **constants)
            if of.network.averages:
                gv *= self.share
            which = {"FIRST": t == of.n_blocks - 1, "LAST": t == 0, "K": n_filters, "STRIDE": of.stride}
            adjoint = (*self.pairs(t), gv, rows, self.slopes)
            of.launch(pairs.convolve_adjoint, self.grid, *adjoint, **which, **wide)
            above = rows[:, :width]
        strains = self.real(self.n_atoms, 6, dtype=torch.float64)
        found = (self.slopes, self.geometry, self.numbers, strains)
        of.launch(pairs.pull, self.grid, self.batch.first, *found, BE=32)
        virials, starts = self.numbers[5 * self.n_atoms :], self.batch.first_atoms
        of.launch(dense.sum_structures, (len(starts) - 1,), strains, starts, virials, BA=64)

    def outputs(self) -> Outputs:
        """What is handed out."""
        return Outputs(self.numbers, self.last[:, self.of.n_units :], self.hidden)


def _power(n: int) -> int:
    """The next power of two."""
    return 1 << max(n - 1, 0).bit_length()
