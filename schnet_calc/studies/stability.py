"""Whether a model holds a molecule together: relaxation, real frequencies, bonds along a trajectory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.io.trajectory import Trajectory

from schnet_calc.analysis import covalent_bonds
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.simulate.md import run_md
from schnet_calc.simulate.md_files import MDSettings
from schnet_calc.simulate.modes import normal_modes
from schnet_calc.simulate.relax import relax

LONGEST_STRETCH = 1.6
"""A bond longer than this times its relaxed length is broken."""


@dataclass(frozen=True)
class Stability:
    """Outcome of :func:`check_stability`."""

    converged: bool
    """Whether the relaxation did."""
    n_imaginary: int
    """Imaginary frequencies of the relaxed structure."""
    lowest_frequency: float
    """cm⁻¹"""
    longest_stretch: float
    """Largest length of a bond along the trajectory, over its relaxed length."""
    time: float
    """ps of the trajectory."""

    @property
    def passed(self) -> bool:
        """Relaxed, at a minimum, and no bond broken."""
        return self.converged and self.n_imaginary == 0 and self.longest_stretch < LONGEST_STRETCH

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "converged": self.converged,
            "n_imaginary": self.n_imaginary,
            "lowest_frequency_cm1": self.lowest_frequency,
            "longest_stretch": self.longest_stretch,
            "time_ps": self.time,
            "passed": self.passed,
        }


def check_stability(
    atoms: ase.Atoms,
    model: str | Path,
    directory: str | Path,
    *,
    time: float = 100.0,
    temperature: float = 300.0,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Stability:
    """Relax a molecule, take its frequencies, and run it at constant temperature.

    Parameters
    ----------
    atoms : Atoms
        A molecule near a minimum.
    model : str or path
        A model file, or the name of a shipped model.
    directory : path
        For the trajectory; one that is there is continued.
    time, temperature : float
        ps and K of the run with Langevin thermostat.
    device : str
        As for the calculator.
    progress : callable, optional
        Called with the steps done and their number.
    """
    precise = SchNetCalculator(model, device=device, dtype="float64")
    relaxation = relax(atoms, precise, fmax=1e-4, steps=2000)
    modes = normal_modes(relaxation.atoms, precise)
    settings = MDSettings(temperature, time, interval=20)
    run = run_md(
        relaxation.atoms,
        SchNetCalculator(model, device=device),
        settings,
        directory,
        resume=True,
        progress=progress and (lambda step, _: progress(step, settings.n_steps)),
    )
    i, j = covalent_bonds(relaxation.atoms).T
    relaxed = np.linalg.norm(relaxation.atoms.positions[i] - relaxation.atoms.positions[j], axis=1)
    longest = 0.0
    with Trajectory(run.trajectory) as frames:
        for frame in frames:
            lengths = np.linalg.norm(frame.positions[i] - frame.positions[j], axis=1)
            longest = max(longest, float((lengths / relaxed).max()))
    return Stability(
        relaxation.converged, modes.n_imaginary, float(modes.frequencies[0]), longest, settings.time
    )
