"""Adam in rotated coordinates for stacks of matrices, compiled: the step of SOAP (arXiv:2409.11321)."""

from typing import NamedTuple

import numpy as np

from schnet_calc.kernels.cpu.barrier import wait
from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.dense import VECTORS, Array, Layers, product
from schnet_calc.kernels.cpu.outer import outer
from schnet_calc.kernels.cpu.simd import VECTOR_BYTES
from schnet_calc.kernels.cpu.structure import clear, copy, rows


class Rotation(NamedTuple):
    """Orthogonal matrices for n matrices of R rows and C columns."""

    left: Array
    """(n, R, R)"""
    left_transposed: Array
    """(n, R, R)"""
    right: Layers
    """(C, C), padded to whole panels, each way"""


class Moments(NamedTuple):
    """Of the rotated gradients."""

    mean: Array
    """(n, R, C)"""
    square: Array
    """(n, R, C)"""


class Numbers(NamedTuple):
    """Of one step of Adam."""

    rate: float
    eps: float
    betas: tuple[float, float]
    """Decay of mean and square."""
    counts: tuple[float, float]
    """``1 - beta**step`` of both."""


@jit
def rotated_step(me, weights, gradient, moments, rotation, adam):  # type: ignore[no-untyped-def]
    """Update moments and weights (n, R, C) by ``left u rightᵀ``, u Adam's step for ``leftᵀ gradient right``.

    Parameters
    ----------
    me : Member
        Of the threads; each takes every so many matrices.
    weights, gradient, moments, rotation
        What is updated, and how.
    adam : Numbers
        Of the step.
    """
    n_rows, n_columns = weights.shape[1], weights.shape[2]
    lanes = VECTORS * VECTOR_BYTES // weights.itemsize
    n_padded = -(-n_columns // lanes) * lanes
    a, b = rows(n_rows, n_padded, weights), rows(n_rows, n_padded, weights)
    clear(b)
    for k in range(me.part, weights.shape[0], me.n_parts):
        copy(gradient[k], b)
        _turn(b, rotation.left[k], rotation.right, rotation.right.places[k, 0], a)
        _adam(b, moments.mean[k], moments.square[k], adam)
        _turn(b, rotation.left_transposed[k], rotation.right, rotation.right.places[k, 1], a)
        for r in range(n_rows):
            for c in range(n_columns):
                weights[k, r, c] -= adam.rate * b[r, c]
    wait(me, 0)


@inner
def _turn(x, left, right, place, spare):  # type: ignore[no-untyped-def]
    """Replace x (R, C) by ``leftᵀ x W``, W what begins at a place of the layers."""
    clear(spare)
    outer(left, x, spare)
    product(spare, right.values, place, 0, x, False)


@inner
def _adam(g, mean, square, adam):  # type: ignore[no-untyped-def]
    """Replace a gradient (R, C), maybe with columns behind it, by Adam's step."""
    one, betas, counts = g.dtype.type(1.0), adam.betas, adam.counts
    keep, keep_square = one - g.dtype.type(betas[0]), one - g.dtype.type(betas[1])
    bias, bias_square = g.dtype.type(1.0 / counts[0]), g.dtype.type(1.0 / counts[1])
    small = g.dtype.type(adam.eps)
    for r in range(mean.shape[0]):
        for c in range(mean.shape[1]):
            m = mean[r, c] + keep * (g[r, c] - mean[r, c])
            v = square[r, c] + keep_square * (g[r, c] * g[r, c] - square[r, c])
            mean[r, c], square[r, c] = m, v
            g[r, c] = bias * m / (np.sqrt(bias_square * v) + small)
