"""Features and forces of a SchNet on the CPU as differentiable torch operations around compiled loops.

What ``explicit`` writes as tensor operations, in four compiled calls a step: torch's own cost per operation is
that of the work itself where structures are molecules. Heads, losses and filter networks stay with torch.
"""

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from schnet_calc.kernels.cpu.activation import KINDS
from schnet_calc.kernels.cpu.cubic_pairs import geometry
from schnet_calc.kernels.cpu.dense import packed, panel_width
from schnet_calc.kernels.cpu.envelope import CUTOFFS
from schnet_calc.kernels.cpu.gradients import Gradients, Seen, forwards_gradient, slopes_gradient
from schnet_calc.kernels.cpu.threads import n_parts, run_parts
from schnet_calc.kernels.cpu.training import Adjoints, Network, Pairs, Tape, forwards, slopes
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.torch.stacks import padded, together
from schnet_calc.nn import Interaction, SchNet

ROWS = 80
"""Atoms of a tile, about: whole structures."""


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


def stack_blocks(network: SchNet, tables: Tensor) -> Blocks:
    """Collect the blocks' weights, with the filters' tables (n_tables, rows, K) of the moment."""
    blocks = cast(list[Interaction], list(network.interactions))
    width = panel_width(np.dtype(str(tables.dtype).removeprefix("torch.")))

    def stack(parts: list[Tensor], n_padded: int) -> Tensor:
        return padded(together(parts), n_padded, width)

    layers = [[b.dense_in for b in blocks], [b.dense_hidden for b in blocks], [b.dense_out for b in blocks]]
    weights = [stack([layer.weight for layer in kind], 2) for kind in layers]
    biases = [stack([_bias(layer) for layer in kind], 1) for kind in layers]
    return Blocks(tables, *weights, *biases)


def _bias(layer: nn.Linear) -> Tensor:
    return layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias


def tiled_pairs(
    network: SchNet,
    grid: SplineGrid,
    positions: Tensor,
    i: Tensor,
    j: Tensor,
    shifts: Tensor,
    counts: Tensor,
) -> Pairs:
    """Find where each pair looks into the tables, and which structures are taken together.

    Parameters
    ----------
    network : SchNet
        Its cutoff function and its neighbour average.
    grid : SplineGrid
        Of the tables.
    positions : Tensor
        (N, 3) Å, structure after structure.
    i, j : Tensor
        int64 (P,) atoms of the pairs, in the same order.
    shifts : Tensor
        (P, 3) Å, added to the position of j.
    counts : Tensor
        (B,) atoms of each structure.
    """
    config, kind, n_pairs = network.config, positions.numpy().dtype, len(i)
    pairs = Pairs(
        near=np.empty((n_pairs, 2), np.uint32),
        knot=np.empty(n_pairs, np.uint32),
        w=np.empty((n_pairs, 8), kind),
        unit=np.empty((n_pairs, 3)),
        length=np.empty(n_pairs),
        system=np.repeat(np.arange(len(counts)), counts.numpy().astype(int)),
        tiles=_tiles(counts.numpy().astype(int), i.numpy()),
    )
    cutoff = (config.reach, config.cutoff_onset, CUTOFFS[config.cutoff_function])
    geometry(
        *(x.numpy() for x in (positions, i, j, shifts)),
        (grid.start, grid.spacing, grid.n_intervals),
        (*cutoff, 1.0 / (config.neighbor_average or 1.0)),
        *pairs[:5],
    )
    return pairs


def _tiles(counts: NDArray[np.int64], i: NDArray[np.int64]) -> NDArray[np.int64]:
    """(tiles + 1, 2) first atoms and first pairs of whole structures with about :data:`ROWS` atoms."""
    starts = np.concatenate([[0], np.cumsum(counts)])
    tile = starts[:-1] // ROWS
    firsts = np.concatenate([starts[:-1][np.diff(tile, prepend=-1) > 0], starts[-1:]])
    return np.stack([firsts, np.searchsorted(i, firsts)], axis=1)


def _pack(blocks: Blocks, activation: str) -> Network:
    """The blocks as compiled code reads them: panels of columns, each way."""
    kinds = [(w.numpy(), b.numpy()) for w, b in zip(blocks[1:4], blocks[4:], strict=True)]
    return Network(blocks.tables.numpy(), packed(kinds), KINDS[activation])


class Step:
    """What the calls of one step share.

    Parameters
    ----------
    network : SchNet
        For its activation.
    blocks : Blocks
        From :func:`stack_blocks`.
    pairs : Pairs
        From :func:`tiled_pairs`.
    """

    tape: Tape
    gradients: Gradients

    def __init__(self, network: SchNet, blocks: Blocks, pairs: Pairs) -> None:
        self.pairs, self.shapes = pairs, [x.shape for x in blocks]
        with torch.no_grad():
            self.network = _pack(blocks, network.config.activation)
        self.seen: Seen | None = None
        self.n_threads = n_parts(len(pairs.tiles) - 1)

    def run(self, part: Any, *arrays: Any) -> None:
        """Let all threads take their tiles."""
        run_parts(part, self.n_threads, self.pairs, self.network, *arrays)

    def new(self, *shape: int) -> Tensor:
        """A tensor of the network's type, not set."""
        return torch.empty(shape, dtype=torch.from_numpy(self.network.tables).dtype)

    def begin_gradients(self) -> Seen:
        """Make room for the loss's gradients, with zeros where they are added up; not if that is done already."""
        if self.seen is None:
            tables, w_in, w_hidden, w_out, *biases = self.shapes
            weights = (tables, w_in, w_hidden, w_out, (w_in[0], 3, max(shape[1] for shape in biases)))
            self.gradients = Gradients(
                *(self.new(self.n_threads, *shape).zero_().numpy() for shape in weights)
            )
            like = self.tape
            shapes = (like.x.shape[1:], like.y.shape, like.a.shape, (2, *like.y.shape[1:]))
            self.seen = Seen(*(self.new(*shape).numpy() for shape in shapes))
        return self.seen

    def summed(self) -> list[Tensor]:
        """Gradients of all threads, in the order of :class:`Blocks`."""
        tables, w_in, w_hidden, w_out, biases = (
            torch.from_numpy(x[0] if len(x) == 1 else x.sum(0)) for x in self.gradients
        )
        widths = [shape[1] for shape in self.shapes[4:]]
        return [tables, w_in, w_hidden, w_out, *(biases[:, k, :width] for k, width in enumerate(widths))]


class _Features(torch.autograd.Function):
    """First features (N, F) to the last ones, and to y, from which :class:`_Forces` goes back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Step, *blocks: Tensor) -> tuple[Tensor, Tensor]:
        (n_blocks, n_filters, n_features), n_atoms = blocks[1].shape, len(x)
        xs = step.new(n_blocks + 1, n_atoms, n_features)
        xs[0] = x
        y, v = (step.new(n_blocks, n_atoms, n_filters) for _ in range(2))
        a, h, slope = (step.new(n_blocks, n_atoms, n_features) for _ in range(3))
        step.tape = Tape(*(part.numpy() for part in (xs, y, v, a, h, slope)))
        step.run(forwards, step.tape)
        ctx.step = step
        ctx.set_materialize_grads(False)
        return xs[-1], y

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        step: Step = ctx.step
        from_forces = step.seen is not None
        seen = step.begin_gradients()
        if not from_forces:
            seen.y.fill(0.0)
            seen.a.fill(0.0)
        seen.x[...] = 0.0 if given[0] is None else given[0].numpy()
        step.run(forwards_gradient, step.tape, seen, step.gradients)
        step.seen = None
        return (torch.from_numpy(seen.x), None, *step.summed())


class _Forces(torch.autograd.Function):
    """The energy's derivative by the last features (N, F) to forces (N, 3) and virials (B, 3, 3).

    Gradients by the tape and the weights go by way of the step, not of autograd, which would copy megabytes.
    With y as an input, this backward comes before that of :class:`_Features`, which goes on with them.
    """

    @staticmethod
    def forward(ctx: Any, gx: Tensor, y: Tensor, step: Step, n_systems: int) -> tuple[Tensor, Tensor]:
        n_atoms = len(gx)
        by_x, by_h, by_a = (step.new(*step.tape.a.shape) for _ in range(3))
        by_x[-1] = gx
        by_v, by_y = (step.new(*y.shape) for _ in range(2))
        ctx.adjoints = Adjoints(*(part.numpy() for part in (by_x, by_v, by_h, by_a, by_y)))
        s = step.new(len(step.pairs.near)).zero_()
        forces = torch.zeros(n_atoms, 3, dtype=torch.float64)
        virials = torch.zeros(n_systems, 3, 3, dtype=torch.float64)
        step.run(slopes, step.tape, ctx.adjoints, s.numpy(), forces.numpy(), virials.numpy())
        ctx.step = step
        return forces.to(gx.dtype), virials.to(gx.dtype)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor, None, None, None]:
        step: Step = ctx.step
        seen = step.begin_gradients()
        s = step.new(len(step.pairs.near)).numpy()
        of_results = [x.contiguous().numpy() for x in given]
        step.run(slopes_gradient, step.tape, ctx.adjoints, *of_results, s, seen, step.gradients)
        return torch.from_numpy(seen.x.copy()), None, None, None


def features(embedding: Tensor, step: Step, blocks: Blocks) -> tuple[Tensor, Tensor]:
    """Return the (N, F) features after all interactions (thesis Eq. 4.7), and what :func:`forces` needs.

    Parameters
    ----------
    embedding : Tensor
        (N, F) first features.
    step : Step
        For one use.
    blocks : Blocks
        The same that the step was made with.
    """
    n_features, wide = embedding.shape[1], blocks.w_in.shape[2]
    x, y = _Features.apply(padded(embedding, 1, wide), step, *blocks)
    return x if n_features == wide else x[:, :n_features], y


def forces(gx: Tensor, y: Tensor, step: Step, n_systems: int) -> tuple[Tensor, Tensor]:
    """Return forces (N, 3), eV/Å, and virials (B, 3, 3), eV, from dE/dx (N, F) by the last features.

    Parameters
    ----------
    gx : Tensor
        (N, F)
    y : Tensor
        From :func:`features`.
    step : Step
        As there.
    n_systems : int
        B.
    """
    last = padded(gx, 1, step.tape.a.shape[2])
    result: tuple[Tensor, Tensor] = _Forces.apply(last, y, step, n_systems)
    return result
