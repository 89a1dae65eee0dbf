"""Relaxation of structures, and of their cells, to stationary points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE, LBFGS, BFGSLineSearch
from ase.optimize.optimize import Optimizer
from numpy.typing import NDArray

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.checks import check_choice
from schnet_calc.simulate.records import describe
from schnet_calc.simulate.replicas import share_batch
from schnet_calc.stages import listened, tell

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
    """Largest force on an atom at the end, eV/Å; with a cell, the largest gradient of cell and atoms."""
    energies: NDArray[np.float64]
    """(steps + 1,) eV."""

    @property
    def energy(self) -> float:
        """Energy at the end, eV."""
        return float(self.energies[-1])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "converged": self.converged,
            "steps": self.steps,
            "fmax_ev_ang": self.fmax,
            "energy_ev": float(self.energies[-1]),
            "energies_ev": self.energies.tolist(),
            "atoms": describe(self.atoms),
        }


def check_converged(found: Any, what: str) -> None:
    """Raise ``RuntimeError`` for a :class:`Relaxation` or a band that has not converged, and say what it is."""
    if not found.converged:
        raise RuntimeError(
            f"{what} has not converged after {found.steps} steps: largest force {found.fmax:.2e} eV/Å"
        )


def relax(
    atoms: ase.Atoms,
    calculator: Any,
    fmax: float = 1e-3,
    steps: int = 1000,
    optimizer: str = "BFGS",
    cell: bool = False,
    pressure: float = 0.0,
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
    cell : bool
        Relax the cell as well (``FrechetCellFilter``).
    pressure : float
        eV/Å³, on the cell.

    Returns
    -------
    Relaxation
        Look at ``converged``: running out of steps is no error.

    Raises
    ------
    ValueError
        Unknown optimiser, ``fmax`` that is not positive, a cell to relax that isn't periodic throughout.
    """
    moving = atoms.copy()
    moving.calc = calculator
    with _optimizer(moving, fmax, optimizer, cell, pressure) as dynamics:
        energies: list[float] = []
        dynamics.attach(lambda: energies.append(float(moving.get_potential_energy())))
        converged = watched(dynamics, "relaxation", fmax, steps)
        return _outcome(moving, dynamics, converged, energies)


def watched(dynamics: Optimizer, stage: str, fmax: float, steps: int) -> bool:
    """Run an optimiser, and tell each of its steps; return whether it has converged.

    Parameters
    ----------
    dynamics : Optimizer
        Of ASE.
    stage : str
        What to call it.
    fmax : float
        Largest force to end with, eV/Å.
    steps : int
        Limit on the number of steps.
    """
    found = [False]
    for converged in dynamics.irun(fmax=fmax, steps=steps):
        found = [bool(converged)]
        if listened():
            system = dynamics.optimizable
            largest = float(system.gradient_norm(system.get_gradient()))
            tell(stage, dynamics.nsteps, None, f"force {largest:.1e}, {fmax:.1e} eV/Å wanted")
    tell(stage, dynamics.nsteps, dynamics.nsteps)
    return found[0]


def relax_many(
    structures: Sequence[ase.Atoms],
    calculator: SchNetCalculator,
    fmax: float = 1e-3,
    steps: int = 1000,
    optimizer: str = "BFGS",
    cell: bool = False,
    pressure: float = 0.0,
) -> list[Relaxation]:
    """Relax copies of structures of any sizes side by side, all in one batch at every step.

    Parameters
    ----------
    structures : sequence of Atoms
        Where to start; not changed.
    calculator : SchNetCalculator
        For all of them.
    fmax, steps, optimizer, cell, pressure
        As for :func:`relax`.

    Returns
    -------
    list of Relaxation
        In the same order; each takes the steps that it would take alone.

    Raises
    ------
    ValueError
        As :func:`relax`.
    """
    moving = [atoms.copy() for atoms in structures]
    share_batch(moving, calculator)
    runs = [_optimizer(atoms, fmax, optimizer, cell, pressure) for atoms in moving]
    energies: list[list[float]] = [[] for _ in moving]
    going = list(range(len(runs)))
    for step in range(steps + 1):
        for k in going if step else ():
            runs[k].step()
            runs[k].nsteps += 1
        # The first structure that is asked for forces here has all others evaluated with it.
        for k in going:
            energies[k].append(float(moving[k].get_potential_energy()))
        gradients = {k: runs[k].optimizable.get_gradient() for k in going}
        going = [k for k in going if not runs[k].gradient_converged(gradients[k])]
    found = [
        _outcome(atoms, run, k not in going, e)
        for k, (atoms, run, e) in enumerate(zip(moving, runs, energies, strict=True))
    ]
    for atoms in moving:
        atoms.calc = calculator
    return found


def _optimizer(atoms: ase.Atoms, fmax: float, name: str, cell: bool, pressure: float) -> Optimizer:
    check_choice("optimizer", name, OPTIMIZERS)
    if not fmax > 0:
        raise ValueError(f"fmax must be positive, got {fmax} eV/Å")
    if pressure and not cell:
        raise ValueError(f"a pressure ({pressure} eV/Å³) acts on the cell: say cell=True")
    if cell and not atoms.pbc.all():
        raise ValueError(f"a cell is relaxed where it is periodic throughout, pbc is {atoms.pbc.tolist()}")
    target = FrechetCellFilter(atoms, scalar_pressure=pressure) if cell else atoms
    optimizer = OPTIMIZERS[name](target, logfile=None)
    optimizer.fmax = fmax
    return optimizer


def _outcome(atoms: ase.Atoms, optimizer: Optimizer, converged: bool, energies: list[float]) -> Relaxation:
    optimizable = optimizer.optimizable
    largest = float(optimizable.gradient_norm(optimizable.get_gradient()))
    return Relaxation(atoms, converged, int(optimizer.nsteps), largest, np.array(energies))
