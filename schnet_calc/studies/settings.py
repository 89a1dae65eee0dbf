"""How much of the studies of C20 and formaldehyde is simulated."""

from dataclasses import dataclass


@dataclass(frozen=True)
class C20Settings:
    """How much is simulated, and with which model."""

    model: str = "c20"
    """A model of C20."""
    time: float | None = None
    """ps of classical MD with thermostat and of path-integral MD (the thesis: 1250); by default 10 and 2. Runs that
    are there are continued."""
    beads: int = 8
    """Of the path-integral MD."""
    temperature: float = 300.0
    """K."""
    seed: int = 0
    """Of velocities and thermostats."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda[:N]."""

    @property
    def classical_time(self) -> float:
        """Of the run with Langevin thermostat, ps."""
        return 10.0 if self.time is None else self.time

    @property
    def free_time(self) -> float:
        """Of the run without thermostat, ps."""
        return 2.0 if self.time is None else min(self.time, 2.0)

    @property
    def quantum_time(self) -> float:
        """Of the path integrals, ps."""
        return 2.0 if self.time is None else self.time


@dataclass(frozen=True)
class H2COSettings:
    """How much is simulated, and with which model."""

    model: str = "h2co"
    """A model of formaldehyde with dipoles."""
    time: float = 4.0
    """ps of each of 32 classical replicas. Runs that are there are continued."""
    pimd_time: float = 2.0
    """ps of TRPMD, of each of 16 ring polymers."""
    beads: int = 16
    """Of TRPMD."""
    temperature: float = 300.0
    """K."""
    seed: int = 0
    """Of velocities and thermostats."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda[:N]."""
