"""What simulations are asked for; without ASE, which the command line doesn't wait for."""

import math
from dataclasses import dataclass

from schnet_calc.checks import check_choice, check_not_negative, check_positive

THERMOSTATS = ("none", "langevin", "bussi", "nose-hoover")


@dataclass(frozen=True)
class MDSettings:
    """What an MD run is; kept beside its trajectory and compared when it goes on."""

    temperature: float
    """K, of the first velocities and of the thermostat. The table has the one that was reached beside it."""
    time: float
    """ps in all."""
    timestep: float = 0.5
    """fs."""
    thermostat: str = ""
    """none (NVE, for spectra), langevin, bussi or nose-hoover; by default langevin, nose-hoover with a pressure."""
    time_constant: float = 100.0
    """fs, of the thermostat; of the barostat ten times as much."""
    interval: int = 5
    """Steps between frames, which hold positions, momenta and forces. 2.5 fs, the default, suits all spectra."""
    seed: int = 0
    """Of velocities and thermostat."""
    pressure: float | None = None
    """GPa, at which the cell keeps its shape and finds its volume (NPT); a fixed cell by default."""
    equilibrate: float | None = None
    """ps with Langevin's thermostat before the run, not written; ten time constants by default for replicas and
    without a thermostat. By default none for a single run with a thermostat, which warms up by itself in the first
    fifth, that means leave out; none for structures that come with momenta."""

    def __post_init__(self) -> None:
        if not self.thermostat:
            usual = "langevin" if self.pressure is None else "nose-hoover"
            object.__setattr__(self, "thermostat", usual)
        check_choice("thermostat", self.thermostat, THERMOSTATS)
        if self.pressure is not None and self.thermostat != "nose-hoover":
            raise ValueError(
                f"pressure {self.pressure:g} GPa asks for the thermostat nose-hoover, got {self.thermostat}"
            )
        if self.pressure is not None and not math.isfinite(self.pressure):
            raise ValueError(f"pressure must be finite, got {self.pressure}")
        check_positive(self, "temperature", "time", "timestep", "time_constant", "interval")
        check_not_negative(self, "equilibrate")

    @property
    def n_steps(self) -> int:
        """Steps in all, a whole number of intervals."""
        steps = round(self.time * 1000.0 / self.timestep)
        return max(math.ceil(steps / self.interval), 1) * self.interval


@dataclass(frozen=True)
class RelaxSettings:
    """How far structures, and their cells, are relaxed."""

    fmax: float = 1e-3
    """eV/Å; largest force to end with."""
    steps: int = 1000
    """Limit on their number; with 0 the structure stays as it is."""
    optimizer: str = "BFGS"
    """BFGS, LBFGS, FIRE or BFGSLineSearch."""
    cell: bool = False
    """Relax the cell of a crystal as well."""
    pressure: float = 0.0
    """GPa, on that cell."""


@dataclass(frozen=True)
class BandSettings:
    """How a path between two minima is relaxed."""

    images: int = 7
    """Between the two."""
    fmax: float = 0.05
    """eV/Å; largest force across the band to end with."""
    steps: int = 500
    """Limit on their number."""


@dataclass(frozen=True)
class GasSettings:
    """An ideal gas, for the thermochemistry."""

    temperature: float = 298.15
    """K."""
    pressure: float = 101325.0
    """Pa, of the gas (md and relax take GPa, of a solid)."""
    symmetry: int | None = None
    """Symmetry number of the rotations; by default that of the point group, found from structure and isotopes."""
    spin: float | None = None
    """Total electronic spin: 0, 0.5, 1 ...; by default the lowest that the number of electrons allows, so that
    oxygen, a triplet, needs --spin 1."""


@dataclass(frozen=True)
class CrystalSettings:
    """What is computed of a crystal."""

    supercell: tuple[int, int, int] | None = None
    """Repetitions for the phonons; by default 20 Å along each vector at least, and a multiple of 4."""
    phonons: bool = True
    """Whether to compute them."""
    fmax: float = 1e-4
    """eV/Å; largest force that relaxations leave."""
