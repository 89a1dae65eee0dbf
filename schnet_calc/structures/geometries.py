"""Several geometries of the same atoms, such as beads and replicas, as plain arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.structures.structure import Structure


class Geometries(NamedTuple):
    """B geometries of the same N atoms."""

    numbers: NDArray[np.int64]
    """(N,) atomic numbers"""
    positions: NDArray[np.float64]
    """(B, N, 3) Å"""
    cells: NDArray[np.float64]
    """(B, 3, 3) Å, rows are lattice vectors"""
    pbc: NDArray[np.bool_]
    """(3,)"""

    def structures(self) -> list[Structure]:
        """One object each, of views into these arrays."""
        return [
            Structure(self.numbers, positions, cell, self.pbc)
            for positions, cell in zip(self.positions, self.cells, strict=True)
        ]
