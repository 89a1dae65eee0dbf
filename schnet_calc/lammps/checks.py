"""Whether a LAMMPS suits a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from schnet_calc.errors import SchNetCalcError


class LammpsError(SchNetCalcError, RuntimeError):
    """A LAMMPS that the model can't be attached to, or an error of its own."""


OLDEST = 20250722
"""Version of LAMMPS that this was tested with; older ones don't tell the age of their lists."""


def check_lammps(lmp: Any, elements: Sequence[str]) -> NDArray[np.int64]:
    """Return the atomic numbers (types,).

    Raises
    ------
    LammpsError
        The version is too old, units are others than metal, there is no box, newton is off, atoms have no IDs, or
        elements and types don't agree.
    """
    if lmp.version() < OLDEST:
        raise LammpsError(f"LAMMPS is of {lmp.version()}, but {OLDEST} or later is needed")
    units = lmp.extract_global("units")
    if units != "metal":
        raise LammpsError(f"LAMMPS' units are {units!r}, but the model needs 'metal' (eV, Å, ps)")
    if not lmp.extract_setting("box_exist"):
        raise LammpsError(
            "there is no box yet: the model comes after read_data, create_box or read_restart"
        )
    if not lmp.extract_setting("newton_pair"):
        raise LammpsError("LAMMPS has newton off, but forces on ghosts have to go home: say 'newton on'")
    if not lmp.extract_setting("tag_enable"):
        raise LammpsError("atoms have no IDs (atom_modify id no), which tell whose ghosts they are")
    n_types = lmp.extract_setting("ntypes")
    if len(elements) != n_types:
        raise LammpsError(
            f"there are {n_types} atom types, but {len(elements)} elements: {' '.join(elements)}"
        )
    return numbers_of(elements)


def numbers_of(elements: Sequence[str]) -> NDArray[np.int64]:
    """Return atomic numbers (n,) of symbols; :class:`LammpsError` for what is none."""
    for symbol in elements:
        if not atomic_numbers.get(symbol):
            raise LammpsError(f"{symbol!r} is no element")
    return np.array([atomic_numbers[symbol] for symbol in elements], np.int64)
