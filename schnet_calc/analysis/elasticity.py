"""Elastic constants from the stress of strained crystals."""

from typing import Any

import ase
import numpy as np
from ase.optimize import BFGS
from numpy.typing import NDArray

STEPS = 200
"""Of a relaxation, at most."""
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def elastic_constants(
    atoms: ase.Atoms, calculator: Any, strain: float = 5e-3, fmax: float = 1e-4
) -> NDArray[np.float64]:
    """The (6, 6) elastic constants in Voigt order, eV/Å³ (divide by ``ase.units.GPa``).

    Central differences of the stress, with the atoms relaxed in every strained cell.

    Parameters
    ----------
    atoms : Atoms
        A crystal whose cell is relaxed; not changed. Its constraints are ignored.
    calculator : Calculator
        Any ASE calculator with stress, best in float64.
    strain : float
        Of the differences, the engineering shear in the last three.
    fmax : float
        Largest force that the relaxations leave, eV/Å.

    Raises
    ------
    ValueError
        The structure isn't periodic along all directions, or the strain isn't positive.
    RuntimeError
        The atoms don't relax.
    """
    if not atoms.pbc.all():
        raise ValueError(f"elastic constants need a crystal, pbc is {atoms.pbc.tolist()}")
    if not strain > 0:
        raise ValueError(f"strain must be positive, got {strain}")
    columns = []
    for a, b in VOIGT:
        stresses = []
        for sign in (1.0, -1.0):
            deformation = np.eye(3)
            deformation[a, b] += 0.5 * sign * strain
            deformation[b, a] += 0.5 * sign * strain
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
            strained.set_constraint()
            strained.calc = calculator
            with BFGS(strained, logfile=None) as dynamics:
                if not dynamics.run(fmax=fmax, steps=STEPS):
                    raise RuntimeError(
                        f"the atoms of a strained cell did not relax below {fmax} eV/Å in {STEPS} steps"
                    )
            stresses.append(strained.get_stress())
        columns.append((stresses[0] - stresses[1]) / (2.0 * strain))
    return np.stack(columns, axis=1)
