"""Elastic constants from the stress of strained crystals."""

from typing import Any, NamedTuple

import ase
import numpy as np
from ase.optimize import BFGS
from numpy.typing import NDArray

from schnet_calc.stages import in_turn

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
    for a, b in in_turn("elastic constants", VOIGT):
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


class ElasticAverages(NamedTuple):
    """What a polycrystal shows, in the unit of the constants; Hill's means of the bounds of Voigt and Reuss."""

    bulk: float
    shear: float
    young: float
    poisson: float
    """Without unit."""
    lowest: float
    """Smallest eigenvalue of the constants; a crystal is stable against strain if it is positive (Born)."""
    hydrostatic: float
    """Bulk modulus of the single crystal under hydrostatic pressure, its shape free: Reuss's bound."""


def elastic_averages(constants: NDArray[np.float64]) -> ElasticAverages:
    """Return averages over directions of (6, 6) elastic constants (R. Hill, Proc. Phys. Soc. A 65, 349 (1952)).

    Parameters
    ----------
    constants : array
        (6, 6) in Voigt order, in any unit.
    """
    c = 0.5 * (constants + constants.T)
    lowest = float(np.linalg.eigvalsh(c)[0])
    bounds = []
    for matrix, voigt in ((c, True), (np.linalg.inv(c), False)):
        across = float(matrix[0, 1] + matrix[0, 2] + matrix[1, 2])
        straight, shear = matrix[:3, :3].trace(), matrix[3:, 3:].trace()
        if voigt:
            bounds.append(((straight + 2 * across) / 9, (straight - across + 3 * shear) / 15))
        else:
            bounds.append((1 / (straight + 2 * across), 15 / (4 * straight - 4 * across + 3 * shear)))
    hydrostatic = float(bounds[1][0])
    bulk, shear = (float(np.mean(x)) for x in zip(*bounds, strict=True))
    young = 9 * bulk * shear / (3 * bulk + shear)
    poisson = (3 * bulk - 2 * shear) / (6 * bulk + 2 * shear)
    return ElasticAverages(bulk, shear, young, poisson, lowest, hydrostatic)
