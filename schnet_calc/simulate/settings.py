"""What simulations are asked for; without ASE, which the command line doesn't wait for."""

import math
from dataclasses import dataclass

THERMOSTATS = ("none", "langevin", "bussi", "nose-hoover")


@dataclass(frozen=True)
class MDSettings:
    """What an MD run is; kept beside its trajectory and compared when it goes on."""

    temperature: float
    """K; of the first velocities, and of the thermostat."""
    time: float
    """ps in all."""
    timestep: float = 0.5
    """fs"""
    thermostat: str = "langevin"
    """One of :data:`THERMOSTATS`; ``"none"`` is NVE."""
    time_constant: float = 100.0
    """fs, of the thermostat."""
    interval: int = 5
    """Steps between two frames written; 2.5 fs by default, which spectra of any molecule can do with."""
    seed: int = 0
    pressure: float | None = None
    """GPa, at which the cell keeps its shape and finds its volume (NPT); fixed cell if None."""
    equilibrate: float | None = None
    """ps with Langevin's thermostat before the run, not written; ten time constants by default for replicas and
    without a thermostat, else none; none for structures that come with momenta."""

    def __post_init__(self) -> None:
        if self.thermostat not in THERMOSTATS:
            raise ValueError(f"thermostat is one of {', '.join(THERMOSTATS)}, got {self.thermostat!r}")
        if self.pressure is not None and self.thermostat != "nose-hoover":
            raise ValueError(
                f"pressure {self.pressure:g} GPa asks for the thermostat nose-hoover, got {self.thermostat}"
            )
        if self.pressure is not None and not math.isfinite(self.pressure):
            raise ValueError(f"pressure must be finite, got {self.pressure}")
        for name in ("temperature", "time", "timestep", "time_constant", "interval"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if self.equilibrate is not None and not 0 <= self.equilibrate < math.inf:
            raise ValueError(f"equilibrate must be a time in ps or zero, got {self.equilibrate}")

    @property
    def n_steps(self) -> int:
        """Steps in all, a whole number of intervals."""
        steps = round(self.time * 1000.0 / self.timestep)
        return max(math.ceil(steps / self.interval), 1) * self.interval
