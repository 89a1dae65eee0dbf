"""The blocks of a SchNet on the CPU: features, forces, and a loss's gradients, a compiled call for each."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from schnet_calc.kernels.cpu.activation import KINDS
from schnet_calc.kernels.cpu.dense import packed
from schnet_calc.kernels.cpu.gradients import Gradients, LossDerivatives, forwards_gradient, slopes_gradient
from schnet_calc.kernels.cpu.threads import n_parts, run_parts
from schnet_calc.kernels.cpu.training import Adjoints, Network, Pairs, Tape, forwards, slopes


class Blocks(NamedTuple):
    """Weights of all T blocks side by side, padded to whole vectors."""

    tables: Tensor
    """(n_tables, rows, K)"""
    w_in: Tensor
    """(T, K, F)"""
    w_hidden: Tensor
    """(T, F, K)"""
    w_out: Tensor
    """(T, F, F)"""
    b_in: Tensor
    """(T, K)"""
    b_hidden: Tensor
    """(T, F)"""
    b_out: Tensor
    """(T, F)"""


class Step:
    """What the calls of one step share.

    Parameters
    ----------
    blocks : Blocks
        Of the moment.
    activation : str
        Of the network.
    pairs : Pairs
        From :func:`tiled_pairs`.
    """

    tape: Tape
    adjoints: Adjoints
    gradients: Gradients

    def __init__(self, blocks: Blocks, activation: str, pairs: Pairs) -> None:
        self.pairs, self.shapes, self.dtype = pairs, [x.shape for x in blocks], blocks.tables.dtype
        self.network = _pack(blocks, activation)
        self.derivatives: LossDerivatives | None = None
        self.n_threads = n_parts(len(pairs.tiles) - 1)

    def features(self, first: Tensor) -> Tensor:
        """Return the (N, F) features, without a unit, after all interactions (thesis Eq. 4.7)."""
        (n_blocks, n_filters, n_features), n_atoms = self.shapes[1], len(first)
        x = self._new(n_blocks + 1, n_atoms, n_features)
        x[0, :, : first.shape[1]] = first
        x[0, :, first.shape[1] :] = 0.0
        y, v = (self._new(n_blocks, n_atoms, n_filters) for _ in range(2))
        a, h, slope = (self._new(n_blocks, n_atoms, n_features) for _ in range(3))
        self.tape = Tape(*(part.numpy() for part in (x, y, v, a, h, slope)))
        self._run(forwards, self.tape)
        return x[-1]

    def forces(self, gx: Tensor, n_systems: int) -> tuple[Tensor, Tensor]:
        """Return forces (N, 3), eV/Å, and virials (B, 3, 3), eV, from dE/dx (N, F) by the last features."""
        like, n_atoms = self.tape, len(gx)
        by_x, by_h, by_a = (self._new(*like.a.shape) for _ in range(3))
        by_x[-1] = gx
        by_v, by_y = (self._new(*like.y.shape) for _ in range(2))
        s = self._new(len(self.pairs.near)).zero_()
        self.adjoints = Adjoints(*(part.numpy() for part in (by_x, by_v, by_h, by_a, by_y, s)))
        forces = torch.zeros(n_atoms, 3, dtype=torch.float64)
        virials = torch.zeros(n_systems, 3, 3, dtype=torch.float64)
        self._run(slopes, self.tape, self.adjoints, forces.numpy(), virials.numpy())
        return forces.to(self.dtype), virials.to(self.dtype)

    def forces_gradient(self, by_forces: Tensor | None, by_virials: Tensor | None) -> Tensor:
        """Return a loss's derivative by dE/dx (N, F), eV, from those by the results of :meth:`forces`."""
        n_systems = int(self.pairs.system[-1]) + 1
        if by_forces is None:
            by_forces = self._new(len(self.pairs.system), 3).zero_()
        if by_virials is None:
            by_virials = self._new(n_systems, 3, 3).zero_()
        by = self._begin_gradients(by_forces, by_virials)
        self._run(slopes_gradient, self.tape, self.adjoints, by, self.gradients)
        return torch.from_numpy(by.x)

    def features_gradient(self, by_x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return a loss's derivatives by the first features (N, F), without a unit, and by :class:`Blocks`.

        Parameters
        ----------
        by_x : Tensor
            (N, F) derivatives by the last features; those by forces come from :meth:`forces_gradient`, if that was
            called before.
        """
        by = self.derivatives
        if by is None:
            by = self._begin_gradients(self._new(0, 3), self._new(0, 3, 3))  # forces were not asked for
            by.y.fill(0.0)
            by.a.fill(0.0)
        by.x[...] = by_x.numpy()
        self._run(forwards_gradient, self.tape, by, self.gradients)
        self.derivatives = None
        return torch.from_numpy(by.x), self._summed()

    def _run(self, part: Any, *arrays: Any) -> None:
        """Let all threads take their tiles."""
        run_parts(part, self.n_threads, self.pairs, self.network, *arrays)

    def _new(self, *shape: int) -> Tensor:
        """A tensor of the network's type, not set."""
        return torch.empty(shape, dtype=self.dtype)

    def _begin_gradients(self, by_forces: Tensor, by_virials: Tensor) -> LossDerivatives:
        """Make room for the loss's gradients, with zeros where they are added up."""
        tables, w_in, w_hidden, w_out, *biases = self.shapes
        weights = (tables, w_in, w_hidden, w_out, (w_in[0], 3, max(shape[1] for shape in biases)))
        self.gradients = Gradients(
            *(self._new(self.n_threads, *shape).zero_().numpy() for shape in weights)
        )
        like = self.tape
        n_pairs = len(self.pairs.near)
        shapes = (like.x.shape[1:], like.y.shape, like.a.shape, (2, *like.y.shape[1:]), (n_pairs,))
        tensors = (
            *(self._new(*shape) for shape in shapes),
            by_forces.contiguous(),
            by_virials.contiguous(),
        )
        self.derivatives = LossDerivatives(*(tensor.numpy() for tensor in tensors))
        return self.derivatives

    def _summed(self) -> list[Tensor]:
        """Gradients of all threads, in the order of :class:`Blocks`."""
        tables, w_in, w_hidden, w_out, biases = (
            torch.from_numpy(x[0] if len(x) == 1 else x.sum(0)) for x in self.gradients
        )
        widths = [shape[1] for shape in self.shapes[4:]]
        return [tables, w_in, w_hidden, w_out, *(biases[:, k, :width] for k, width in enumerate(widths))]


def _pack(blocks: Blocks, activation: str) -> Network:
    """The blocks as compiled code reads them: panels of columns, each way."""
    kinds = [(w.numpy(), b.numpy()) for w, b in zip(blocks[1:4], blocks[4:], strict=True)]
    return Network(blocks.tables.numpy(), packed(kinds), KINDS[activation])
