"""What compiled functions are handed, and what they fill."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]


class PairedStructures(NamedTuple):
    """Structures with their pairs, which may reach beyond the cutoff."""

    numbers: Array
    """int64 (N,)"""
    positions: Array
    """(N, 3) Å"""
    i: Array
    """int64 (P,)"""
    j: Array
    """int64 (P,)"""
    shifts: Array
    """(P, 3) Å"""


class Results(NamedTuple):
    """What is filled, all float64 but features and sums.

    For one structure and several parts, forces, virials, nearest and sums have a row for each part, whose sum or
    least is meant. For many structures forces have one row, virials, nearest and sums one for each structure.
    """

    energies: Array
    """(N,) eV"""
    forces: Array
    """(parts or 1, N, 3) eV/Å"""
    virials: Array
    """(parts or B, 3, 3) eV"""
    nearest: Array
    """(parts or B, 2) index and distance of the closest pair"""
    features: Array
    """(N, F) the atoms' last features; or (0, F) where nobody asks for them"""
    grades: Array
    """(N,) how far the atoms are from the training data; or (0,)"""
    summed: Array
    """(parts or B, H) sums over atoms of the last hidden layer, set only with grades"""


class NearPairs(NamedTuple):
    """Pairs within the cutoff, as :func:`~schnet_calc.kernels.cpu.geometry.geometry` finds them."""

    near: Array
    """uint32 (P, 2) rows of the two atoms"""
    knot: Array
    """uint32 (P,) rows of the filters' tables"""
    w: Array
    """(12, >= P) weights of six rows, for values and slopes"""
    unit: Array
    """(P, 3) from the first to the second"""
    length: Array
    """(P,) Å"""
    s: Array
    """(P,) derivative of the energy by the distance, eV/Å, filled by and by"""


class Portion(NamedTuple):
    """What one of several threads has of a structure: some of its pairs, some of its atoms."""

    pairs: NearPairs
    share: Array
    """(n,) 1 / number of neighbours of the atoms, which sums are multiplied by; or (0,) where they aren't"""
    first: int
    """Of the atoms."""
    last: int
    """After them."""
