"""Whether beads are enough and a time step is short enough, from harmonic modes: before a run."""

import logging
from dataclasses import dataclass

import ase
import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis.finite_beads import HBAR_FS, harmonic_averages, quantum_energies
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.model import Model
from schnet_calc.simulate.modes import normal_modes

logger = logging.getLogger("schnet_calc")
TOLERABLE = 0.01
"""Bias of the vibrations' kinetic energy above which there is a warning."""
COUNTS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Numbers of beads to choose from."""
TIMESTEPS = (2.0, 1.5, 1.0, 0.75, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)
"""fs, to choose from."""
LARGEST = 300
"""Atoms up to which the Hessian is worth its time."""


@dataclass(frozen=True)
class Bias:
    """What a run of harmonic vibrations would be wrong by."""

    quanta: NDArray[np.float64]
    """(K,) eV of the structure's real modes"""
    temperature: float
    """K"""
    beads: int
    timestep: float
    """fs"""

    @property
    def of_beads(self) -> float:
        """Of the vibrations' kinetic energy with so many beads, as a share of the quantum value: negative."""
        return self._of_beads(self.beads)

    @property
    def of_timestep(self) -> float:
        """Of the vibrations' energy that the time step causes, as a share."""
        return self._of_timestep(self.timestep, self.beads)

    @property
    def stiffest(self) -> float:
        """The highest frequency, cm⁻¹."""
        return float(self.quanta.max(initial=0.0) / units.invcm)

    @property
    def line_shift(self) -> float:
        """What the time step moves the highest line up by, cm⁻¹: velocity Verlet's ``2 asin(ωh/2) / h``."""
        half = 0.5 * self.timestep * float(self.quanta.max(initial=0.0)) / HBAR_FS
        if half >= 1.0:
            return np.inf
        return self.stiffest * (float(np.arcsin(half)) / half - 1.0) if half else 0.0

    def enough_beads(self) -> int:
        """The least of :data:`COUNTS` whose bias is tolerable."""
        return next((n for n in COUNTS if abs(self._of_beads(n)) < TOLERABLE), COUNTS[-1])

    def short_timestep(self, beads: int | None = None) -> float:
        """The longest of :data:`TIMESTEPS` (fs) whose bias is tolerable."""
        several = beads or self.beads
        fine = (h for h in TIMESTEPS if abs(self._of_timestep(h, several)) < TOLERABLE)
        return next(fine, TIMESTEPS[-1])

    def _of_beads(self, beads: int) -> float:
        if not len(self.quanta):
            return 0.0
        kinetic = harmonic_averages(self.quanta, self.temperature, beads).kinetic_virial.sum()
        return float(kinetic / (0.5 * quantum_energies(self.quanta, self.temperature).sum()) - 1.0)

    def _of_timestep(self, timestep: float, beads: int) -> float:
        if not len(self.quanta):
            return 0.0
        try:
            energy = harmonic_averages(self.quanta, self.temperature, beads, timestep).energy.sum()
        except ValueError:
            return np.inf
        return float(energy / harmonic_averages(self.quanta, self.temperature, beads).energy.sum() - 1.0)

    def warnings(self, quantum: bool = True) -> list[str]:
        """What there is to say of biases beyond :data:`TOLERABLE`, with what would do.

        Parameters
        ----------
        quantum : bool
            Whether quantum vibrations are meant, so that there may be too few beads for them.
        """
        found = []
        if quantum and abs(self.of_beads) >= TOLERABLE:
            found.append(
                f"{self.beads} beads at {self.temperature:g} K are too few for vibrations up to "
                f"{self.stiffest:.0f} cm⁻¹: {self.of_beads:+.1%} of their kinetic energy; "
                f"{self.enough_beads()} beads would do"
            )
        if abs(self.of_timestep) >= TOLERABLE:
            found.append(
                f"a timestep of {self.timestep:g} fs is too long for vibrations up to {self.stiffest:.0f} cm⁻¹: "
                f"{self.of_timestep:+.1%} of their energy; {self.short_timestep():g} fs would do"
            )
        return found


def has_modes(atoms: ase.Atoms) -> bool:
    """Whether modes of a structure are cheap enough to be asked for: molecules of 2 to :data:`LARGEST` atoms."""
    return not atoms.pbc.any() and 1 < len(atoms) <= LARGEST


def expected_bias(
    atoms: ase.Atoms, model: Model, temperature: float, beads: int, timestep: float
) -> Bias | None:
    """Return the bias of a simulation from the harmonic modes of the structure that it starts from.

    Parameters
    ----------
    atoms : Atoms
        About a minimum: imaginary modes are left out.
    model : Model
        Of the Hessian.
    temperature : float
        K.
    beads : int
        P; 1 is classical dynamics.
    timestep : float
        fs.

    Returns
    -------
    Bias or None
        Nothing without modes (:func:`has_modes`), or where the Hessian is unsound, far from what the model knows.
    """
    if not has_modes(atoms):
        return None
    try:
        modes = normal_modes(atoms, SchNetCalculator(model))
    except FloatingPointError as error:
        logger.warning("the bias of beads and timestep can't be estimated: %s", error)
        return None
    quanta = modes.frequencies[modes.frequencies > 0] * units.invcm
    return Bias(quanta, temperature, beads, timestep)
