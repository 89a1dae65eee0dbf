"""Charge and spin that structures say they have: no network here is told of them."""

from typing import Any

import ase
import numpy as np

CHARGES = ("charge", "total_charge")
SPINS = ("spin", "multiplicity", "spin_multiplicity")
"""In ``atoms.info``. ``"spin"`` is a multiplicity in some codes and a number of unpaired electrons in others."""


def odd_state(atoms: ase.Atoms, charge: int = 0, multiplicity: int = 1) -> list[str]:
    """Say which charge or spin of a structure the training data don't have; empty where it says nothing else.

    Parameters
    ----------
    atoms : Atoms
        With ``charge``, ``spin`` ... in its ``info``, initial charges or magnetic moments, or nothing of that.
    charge, multiplicity : int
        Of the training data.
    """
    found: list[str] = []
    info = atoms.info
    for name in CHARGES if info else ():
        value = _number(info.get(name))
        if value is not None and value != charge:
            found.append(f"{name} is {value:g}, the training data have {charge}")
    for name in SPINS if info else ():
        value = _number(info.get(name))
        fits = (multiplicity, multiplicity - 1) if name == "spin" else (multiplicity,)
        if value is not None and value not in fits:
            found.append(f"{name} is {value:g}, the training data have the multiplicity {multiplicity}")
    if "initial_charges" in atoms.arrays:
        total = float(atoms.arrays["initial_charges"].sum())
        if abs(total - charge) > 0.5 and atoms.arrays["initial_charges"].any():
            found.append(f"initial charges add up to {total:g}, the training data have {charge}")
    if "initial_magmoms" in atoms.arrays and atoms.arrays["initial_magmoms"].any():
        total = float(np.linalg.norm(atoms.arrays["initial_magmoms"].sum(axis=0)))
        if abs(total - (multiplicity - 1)) > 0.5:
            found.append(
                f"initial magnetic moments add up to {total:g}, "
                f"the training data have the multiplicity {multiplicity}"
            )
    return found


def _number(value: Any) -> float | None:
    """A value of ``info`` as a number; None for what is none."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
