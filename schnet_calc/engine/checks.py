"""Named errors for structures that no network can say anything about."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.errors import BadStructureError, NotFiniteError
from schnet_calc.kernels.cpu.compiling import exact
from schnet_calc.structures.structure import Structure

SHORTEST_DISTANCE = 1e-3
"""Å; atoms closer than this count as being at the same place."""
LARGEST_COORDINATE = 1e9
"""Å; beyond it, neighbouring numbers of float64 are farther apart than 1e-7 Å."""


@contextmanager
def named(first: int, n_structures: int) -> Iterator[None]:
    """Let errors about a structure say which one of a batch they mean.

    Parameters
    ----------
    first : int
        Place in the batch of what the block looks at; an error's own index counts from there.
    n_structures : int
        In the batch.
    """
    try:
        yield
    except (BadStructureError, NotFiniteError) as error:
        if n_structures < 2 or hasattr(error, "placed"):
            raise
        placed = type(error)(f"structure {first + error.index}: {error}")
        placed.index, placed.placed = first + error.index, True  # type: ignore[union-attr]
        raise placed from error


def check_structure(structure: Structure, energies: NDArray[np.float64]) -> None:
    """Raise :class:`BadStructureError` for what no model can take, and for elements that this one doesn't know.

    Parameters
    ----------
    structure : Structure
        Of any origin.
    energies : array
        (Z,) reference energies, eV; not a number for unknown elements.
    """
    numbers, positions, cell, _ = structure
    if positions.shape == (len(numbers), 3) and _is_sound(numbers, positions, cell, energies):
        return
    check_values(structure)
    check_elements(numbers, energies)


@exact
def _is_sound(numbers, positions, cell, energies):  # type: ignore[no-untyped-def]
    """Whether the checks below can be left out, which take as long as a small network."""
    for n in range(numbers.shape[0]):
        z = numbers[n]
        if z < 0 or z >= energies.shape[0] or math.isnan(energies[z]):
            return False
        for m in range(3):
            if not abs(positions[n, m]) <= LARGEST_COORDINATE:  # false for what is no number, too
                return False
    for a in range(3):
        for m in range(3):
            if not abs(cell[a, m]) <= LARGEST_COORDINATE:
                return False
    return numbers.shape[0] > 0


@exact
def all_sound(numbers, positions, cells, energies):  # type: ignore[no-untyped-def]
    """The same for positions (B, N, 3) and cells (B, 3, 3) of several geometries."""
    sound = True
    for k in range(positions.shape[0]):
        sound = sound and _is_sound(numbers, positions[k], cells[k], energies)
    return sound


def check_values(structure: Structure) -> None:
    """Raise :class:`BadStructureError` for no atoms, a wrong shape, and numbers that are not finite."""
    if not len(structure.numbers):
        raise BadStructureError("the structure has no atoms")
    if structure.positions.shape != (len(structure.numbers), 3):
        raise BadStructureError(
            f"positions have the shape {structure.positions.shape}, "
            f"but {len(structure.numbers)} atoms ask for {(len(structure.numbers), 3)}"
        )
    if not np.isfinite(structure.positions).all():
        atom, axis = np.argwhere(~np.isfinite(structure.positions))[0]
        raise BadStructureError(
            f"position of atom {atom} is not finite: {'xyz'[axis]} = {structure.positions[atom, axis]}"
        )
    if np.abs(structure.positions).max() > LARGEST_COORDINATE:
        atom = int(np.abs(structure.positions).max(axis=1).argmax())
        raise BadStructureError(
            f"atom {atom} is at {structure.positions[atom].tolist()}: more than {LARGEST_COORDINATE:g} Å "
            "from the origin, where distances can't be told precisely"
        )
    if not np.isfinite(structure.cell).all():
        raise BadStructureError(f"the cell is not finite: {structure.cell.tolist()}")
    if np.abs(structure.cell).max() > LARGEST_COORDINATE:
        raise BadStructureError(
            f"the cell is larger than {LARGEST_COORDINATE:g} Å: {structure.cell.tolist()}"
        )


def check_elements(numbers: NDArray[np.int64], energies: NDArray[np.float64]) -> None:
    """Raise :class:`BadStructureError` for an element without a reference energy in (Z,) ``energies``."""
    first, last = int(numbers.min()), int(numbers.max())
    if first >= 0 and last < len(energies) and np.isfinite(energies[numbers]).all():
        return
    known = np.flatnonzero(np.isfinite(energies))
    atom = int(np.flatnonzero(~np.isin(numbers, known))[0])
    number = int(numbers[atom])
    known_symbol = 0 <= number < len(chemical_symbols)
    what = chemical_symbols[number] if known_symbol else f"an atom of number {number}"
    symbols = ", ".join(chemical_symbols[z] for z in known)
    raise BadStructureError(f"atom {atom} is {what}, but this model knows {symbols}")


def check_shortest(
    closest: int, shortest: float, i: Tensor | NDArray, j: Tensor | NDArray, index: int = 0
) -> None:
    """Raise :class:`BadStructureError` where the closest pair of atoms coincides; its distance in Å.

    Parameters
    ----------
    closest : int
        Which pair that is.
    shortest : float
        Its distance, Å.
    i, j : Tensor or array
        int64 (P,) atoms of all pairs.
    index : int
        Of the structure in its batch.
    """
    if shortest < SHORTEST_DISTANCE:
        error = BadStructureError(
            f"atoms {int(i[closest])} and {int(j[closest])} are at the same place ({shortest:.1e} Å apart)"
        )
        error.index = index
        raise error


def check_finite(energies: np.ndarray, forces: np.ndarray, index: int = 0) -> None:
    """Raise :class:`NotFiniteError` where the network returned no number for a structure.

    Parameters
    ----------
    energies, forces : array
        (N,) eV and (N, 3) eV/Å.
    index : int
        Of the structure in its batch.
    """
    if not math.isfinite(energies.sum() + forces.sum()):
        error = NotFiniteError(
            "the model returned energies or forces that are not finite: "
            "the geometry is far outside of what it was trained on"
        )
        error.index = index
        raise error
