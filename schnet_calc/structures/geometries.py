"""Several geometries of the same atoms, such as beads and replicas, as plain arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import ase
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

    @classmethod
    def from_atoms(cls, images: Sequence[ase.Atoms]) -> "Geometries":
        """Copy what matters of ``ase.Atoms``, at least one.

        Raises
        ------
        ValueError
            They are not the same atoms in the same order, or periodic along other directions.
        """
        made = [Structure.from_atoms(a) for a in images]
        first = made[0]
        for k, s in enumerate(made):
            if not (np.array_equal(s.numbers, first.numbers) and np.array_equal(s.pbc, first.pbc)):
                raise ValueError(f"image {k} has other atoms or periodic directions than image 0")
        return cls(
            first.numbers,
            np.array([s.positions for s in made]),
            np.array([s.cell for s in made]),
            first.pbc,
        )

    def only(self, k: int) -> "Geometries":
        """The k-th of them alone."""
        return self._replace(positions=self.positions[k : k + 1], cells=self.cells[k : k + 1])

    def structures(self) -> list[Structure]:
        """One object each, of views into these arrays."""
        return [
            Structure(self.numbers, positions, cell, self.pbc)
            for positions, cell in zip(self.positions, self.cells, strict=True)
        ]
