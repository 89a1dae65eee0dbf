"""How far atoms are from the training data, where the network looks: in the last hidden layer of its head.

With the mean m of an element's activations and L of their covariance ``C = L Lᵀ``, the distance of an atom is
``|L⁻¹ (h - m)|``; the grade is that distance by its limit.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.compiling import inner
from schnet_calc.kernels.cpu.dense import aligned
from schnet_calc.kernels.cpu.simd import fma, lanes, load, plus, splat, times, total
from schnet_calc.nn.heads import UNKNOWN

Array = NDArray[Any]


class Grading(NamedTuple):
    """Statistics of an energy's last hidden layer, of H units padded to whole panels."""

    slots: NDArray[np.int64]
    """(Z,) where in the table an element's numbers are, or -1; (0,) where nobody asks for grades"""
    table: Array
    """(E, 1 + H, H) the mean, then the columns of L⁻¹ by the limit"""


def grading_arrays(
    kind: np.dtype[Any],
    width: int,
    elements: NDArray[np.int64] | None = None,
    mean: Array | None = None,
    whiten: Array | None = None,
) -> Grading:
    """Return what compiled code reads; nothing asks for no grades.

    Parameters
    ----------
    kind : dtype
        Of the network.
    width : int
        H, padded.
    elements : array, optional
        (E,) atomic numbers.
    mean, whiten : array, optional
        (E, h) and (E, h, h), lower triangles of L⁻¹ by the limit.
    """
    if elements is None or mean is None or whiten is None:
        return Grading(np.zeros(0, np.int64), aligned((0, 1 + width, width), kind))
    slots = np.full(128, -1)
    slots[elements] = np.arange(len(elements))
    table = aligned((len(elements), 1 + width, width), kind)
    table[...] = 0.0
    n = mean.shape[1]
    table[:, 0, :n] = mean
    table[:, 1 : 1 + n, :n] = whiten.transpose(0, 2, 1)
    return Grading(slots, table)


@inner
def grade(h, numbers, grading, deviation, grades, summed):  # type: ignore[no-untyped-def]
    """Fill the grades (N,) of activations h (N, H), and the sum (H,) of these; deviation (H,) is space."""
    width, wide, table = h.shape[1], lanes(h), grading.table
    for f in range(width):
        summed[f] = 0
    for n in range(h.shape[0]):
        slot = grading.slots[numbers[n]]
        for f in range(width):
            summed[f] += h[n, f]
        if slot < 0:
            grades[n] = UNKNOWN
            continue
        for f in range(width):
            deviation[f] = h[n, f] - table[slot, 0, f]
        square = 0.0
        for k in range(0, width, 2 * wide):
            zero = splat(h.dtype.type(0.0))
            a, b, c, d = zero, zero, zero, zero
            for f in range(0, k + 2 * wide, 2):  # L⁻¹ is a triangle
                at = (slot * (1 + width) + 1 + f) * width + k
                x, y = splat(deviation[f]), splat(deviation[f + 1])
                a = fma(load(table, at), x, a)
                b = fma(load(table, at + wide), x, b)
                c = fma(load(table, at + width), y, c)
                d = fma(load(table, at + width + wide), y, d)
            a, b = plus(a, c), plus(b, d)
            square += total(plus(times(a, a), times(b, b)))
        grades[n] = math.sqrt(square)
