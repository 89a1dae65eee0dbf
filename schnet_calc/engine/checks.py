"""Named errors for structures that no network can say anything about."""

from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols
from torch import Tensor

from schnet_calc.graph import Structure

SHORTEST_DISTANCE = 1e-3
"""Å; atoms closer than this count as being at the same place."""


def check_structure(structure: Structure, elements: Sequence[int]) -> None:
    """Raise ``ValueError`` for no atoms, numbers that are not finite, and unknown elements."""
    if not len(structure.numbers):
        raise ValueError("the structure has no atoms")
    if structure.positions.shape != (len(structure.numbers), 3):
        raise ValueError(
            f"positions have the shape {structure.positions.shape}, "
            f"but {len(structure.numbers)} atoms ask for {(len(structure.numbers), 3)}"
        )
    bad = np.argwhere(~np.isfinite(structure.positions))
    if len(bad):
        atom, axis = bad[0]
        raise ValueError(
            f"position of atom {atom} is not finite: {'xyz'[axis]} = {structure.positions[atom, axis]}"
        )
    if not np.isfinite(structure.cell).all():
        raise ValueError(f"the cell is not finite: {structure.cell.tolist()}")
    unknown = np.flatnonzero(~np.isin(structure.numbers, elements))
    if len(unknown):
        atom = int(unknown[0])
        known = ", ".join(chemical_symbols[z] for z in elements)
        symbol = chemical_symbols[structure.numbers[atom]]
        raise ValueError(f"atom {atom} is {symbol}, but this model knows {known}")


def check_distances(distances: Tensor, i: Tensor, j: Tensor) -> None:
    """Raise ``ValueError`` where two atoms coincide; distances (P,) in Å."""
    if len(distances) and float(distances.min()) < SHORTEST_DISTANCE:
        p = int(distances.argmin())
        raise ValueError(
            f"atoms {int(i[p])} and {int(j[p])} are at the same place ({float(distances[p]):.1e} Å apart)"
        )


def check_finite(energies: np.ndarray, forces: np.ndarray) -> None:
    """Raise ``FloatingPointError`` where the network returned no number."""
    if not (np.isfinite(energies).all() and np.isfinite(forces).all()):
        raise FloatingPointError(
            "the model returned energies or forces that are not finite: "
            "the geometry is far outside of what it was trained on"
        )
