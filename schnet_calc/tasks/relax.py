"""Relaxation of a structure to a stationary point."""

from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.optimize import BFGS, FIRE, LBFGS, BFGSLineSearch
from numpy.typing import NDArray

OPTIMIZERS = {"BFGS": BFGS, "LBFGS": LBFGS, "FIRE": FIRE, "BFGSLineSearch": BFGSLineSearch}


@dataclass(frozen=True)
class Relaxation:
    """Outcome of :func:`relax`."""

    atoms: ase.Atoms
    """The relaxed structure, with its calculator."""
    converged: bool
    """Whether the largest force fell below ``fmax``."""
    steps: int
    """Optimisation steps taken."""
    fmax: float
    """Largest force on an atom at the end, eV/Å."""
    energies: NDArray[np.float64]
    """(steps + 1,) eV."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "converged": self.converged,
            "steps": self.steps,
            "fmax_ev_ang": self.fmax,
            "energy_ev": float(self.energies[-1]),
            "energies_ev": self.energies.tolist(),
        }


def relax(
    atoms: ase.Atoms,
    calculator: Any,
    fmax: float = 1e-3,
    steps: int = 1000,
    optimizer: str = "BFGS",
) -> Relaxation:
    """Relax a copy of a structure with ``ase.optimize``.

    Parameters
    ----------
    atoms : Atoms
        Where to start; not changed.
    calculator : Calculator
        Any ASE calculator. Thresholds far below 1e-3 eV/Å need a float64 evaluation.
    fmax : float
        Largest force on an atom to end with, eV/Å.
    steps : int
        Limit on the number of steps.
    optimizer : str
        A key of :data:`OPTIMIZERS`.

    Returns
    -------
    Relaxation
        Look at ``converged``: running out of steps is no error.
    """
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer is one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    if not fmax > 0:
        raise ValueError(f"fmax must be positive, got {fmax} eV/Å")
    relaxed = atoms.copy()
    relaxed.calc = calculator
    energies: list[float] = []
    with OPTIMIZERS[optimizer](relaxed, logfile=None) as dynamics:
        dynamics.attach(lambda: energies.append(float(relaxed.get_potential_energy())))
        converged = bool(dynamics.run(fmax=fmax, steps=steps))
        taken = int(dynamics.nsteps)
    largest = float(np.linalg.norm(relaxed.get_forces(), axis=1).max())
    return Relaxation(relaxed, converged, taken, largest, np.array(energies))
