"""Infrared intensities of normal modes; isotopes."""

import ase
import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from schnet_calc.analysis.spectra import KM_MOL
from schnet_calc.model import Model
from schnet_calc.simulate.modes import NormalModes


def infrared_intensities(modes: NormalModes, model: Model) -> NDArray[np.float64]:
    """Return the integrated absorption of each mode, km/mol.

    In the double harmonic approximation, proportional to ``|d mu / dQ|²``: the dipole's derivative is taken by
    differences, all displaced structures in one batch.

    Parameters
    ----------
    modes : NormalModes
        Of a molecule.
    model : Model
        With a dipole.

    Returns
    -------
    array
        (modes,).

    Raises
    ------
    ValueError
        The model has no dipole.
    """
    slopes = model.derivative(modes.atoms, "dipole")
    along = modes.modes.reshape(len(modes.modes), -1) @ slopes
    return np.asarray(KM_MOL * (along**2).sum(axis=1))


def set_isotopes(atoms: ase.Atoms, isotopes: dict[str, float]) -> None:
    """Set the masses of elements or of single atoms.

    Parameters
    ----------
    atoms : Atoms
        Changed.
    isotopes : dict
        amu by symbol (all its atoms) or by the number of an atom: ``{"H": 2.014}``, ``{"3": 13.003}``.

    Raises
    ------
    ValueError
        No such atom or element in the structure, or a mass that isn't positive.
    """
    masses = atoms.get_masses()
    for name, mass in isotopes.items():
        if not 0 < mass < 1000:
            raise ValueError(f"the mass of {name} must be positive, got {mass} amu")
        if name.isdigit():
            chosen = np.arange(len(atoms)) == int(name)
        else:
            chosen = atoms.numbers == atomic_numbers.get(name, -1)
        if not chosen.any():
            raise ValueError(
                f"there is no {name} in {atoms.get_chemical_formula()}, whose mass could be {mass}"
            )
        masses[chosen] = mass
    atoms.set_masses(masses)
