"""The stiffest mode of a structure: what the time between frames has to follow."""

from functools import partial

import ase
import numpy as np
from ase import units
from ase.data import atomic_masses
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from schnet_calc.model import Model
from schnet_calc.simulate.modes import MODE_UNIT
from schnet_calc.structures.structure import Structure

STEP = 0.01
"""Å√amu, of the differences of forces."""
PROTON, WITH_HYDROGEN, WITHOUT = 1.008, 4000.0, 2500.0
"""amu; and cm⁻¹ that the stretches of molecules with and without hydrogen stay below."""
STIFFER = {1: (1.1, 4450.0), 9: (1.3, 4200.0)}
"""Of hydrogen's partners whose stretches are stiffer: Å that such a bond is shorter than, and cm⁻¹ that H2 and HF
with protons stay below (harmonic: 4401 and 4138)."""


def stiffest_mode(atoms: ase.Atoms, model: Model) -> float:
    """Return the largest harmonic wavenumber of a structure, cm⁻¹, by Lanczos' method on differences of forces.

    Parameters
    ----------
    atoms : Atoms
        Molecule or crystal, more or less relaxed.
    model : Model
        Of the forces.
    """
    size = 3 * len(atoms)
    hessian = LinearOperator((size, size), matvec=partial(_curvature, atoms, model), dtype=float)
    start = np.random.default_rng(0).normal(size=size)
    largest = eigsh(hessian, k=1, which="LA", v0=start, tol=1e-3, return_eigenvectors=False)[0]
    return float(np.sqrt(max(largest, 0.0)) * MODE_UNIT / units.invcm)


def _curvature(atoms: ase.Atoms, model: Model, along: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Hessian, weighted with the masses, times a vector (3N,)."""
    weights = np.repeat(1.0 / np.sqrt(atoms.get_masses()), 3)
    moved = []
    for sign in (1.0, -1.0):
        moved.append(atoms.copy())
        moved[-1].positions += (sign * STEP * along.ravel() * weights).reshape(-1, 3)
    found = model.precise.evaluate([Structure.from_atoms(a) for a in moved], [])
    ahead, behind = (p.forces.ravel() for p in found)
    return np.asarray((behind - ahead) * weights / (2.0 * STEP))


def stiffest_guess(atoms: ase.Atoms) -> float:
    """Return what the stretches of such elements stay below, cm⁻¹, for want of a model."""
    masses = atoms.get_masses()
    hydrogen = masses[atoms.numbers == 1]
    if not len(hydrogen):
        return WITHOUT
    found = [WITHOUT, WITH_HYDROGEN * np.sqrt(PROTON / hydrogen.min())]
    for partner, (length, wavenumber) in STIFFER.items():
        pairs = {(1, partner): length}
        usual = 1.0 / PROTON + 1.0 / atomic_masses[partner]
        for i, j in zip(*neighbor_list("ij", atoms, pairs), strict=True):
            found.append(wavenumber * np.sqrt((1.0 / masses[i] + 1.0 / masses[j]) / usual))
    return float(max(found))
