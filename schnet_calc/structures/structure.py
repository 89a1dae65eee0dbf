"""One structure as plain arrays."""

from typing import NamedTuple

import ase
import numpy as np
from ase.data import atomic_masses
from numpy.typing import NDArray

from schnet_calc.reductions import NumpyGroups


class Structure(NamedTuple):
    """One structure, as plain arrays."""

    numbers: NDArray[np.int64]
    """(N,) atomic numbers"""
    positions: NDArray[np.float64]
    """(N, 3) Å"""
    cell: NDArray[np.float64]
    """(3, 3) Å, rows are lattice vectors"""
    pbc: NDArray[np.bool_]
    """(3,)"""

    @classmethod
    def from_atoms(cls, atoms: ase.Atoms) -> "Structure":
        """Copy what matters of ``ase.Atoms``.

        Raises
        ------
        TypeError
            It is something else.
        """
        if not isinstance(atoms, ase.Atoms):
            raise TypeError(f"a structure is ase.Atoms, and a batch a list of them, got {atoms!r:.100}")
        return cls(
            atoms.numbers.astype(np.int64),
            np.array(atoms.positions, dtype=float, order="C"),
            atoms.cell.array.astype(float),
            np.array(atoms.pbc, dtype=bool),
        )

    def to_atoms(self) -> ase.Atoms:
        """``ase.Atoms`` of these arrays, copied."""
        return ase.Atoms(self.numbers, self.positions, cell=self.cell, pbc=self.pbc)

    def groups(self) -> NumpyGroups:
        """As a reduction takes it: atoms of one structure."""
        return NumpyGroups(self.positions, atomic_masses[self.numbers], np.array([len(self.numbers)]))

    @property
    def volume(self) -> float:
        """Å³; zero unless periodic along all three directions."""
        return float(abs(np.linalg.det(self.cell))) if self.pbc.all() else 0.0
