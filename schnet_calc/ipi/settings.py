"""What a path-integral simulation is asked for."""

from dataclasses import dataclass

from schnet_calc.checks import check_choice, check_not_negative, check_positive

METHODS = ("pimd", "trpmd")
THERMOSTATS = ("pile_g", "pile_l", "svr", "langevin", "none")
TRANSPORTS = ("direct", "socket")
EQUILIBRATION = 10.0
"""Time constants of the thermostat before TRPMD; e to the minus ten of the start is left then."""
USUAL, SPECTRAL = 20, 2.5
"""Steps between frames, and fs between those that spectra are made of."""
CHECKPOINTS, LONGEST_INTERVAL = 20, 1000
"""Checkpoints per run, and the most steps between two of them."""


@dataclass(frozen=True, kw_only=True)
class PIMDSettings:
    """A path-integral simulation.

    Raises
    ------
    ValueError
        A value that makes no sense; the message names it.
    """

    temperature: float
    """K."""
    time: float
    """ps in all."""
    beads: int = 8
    """P; 1 is classical dynamics."""
    timestep: float = 0.5
    """fs."""
    thermostat: str = "pile_g"
    """pile_g, pile_l, svr, langevin or none."""
    time_constant: float = 100.0
    """fs, of the thermostat (of the centroid, for PILE)."""
    stride: int = 10
    """Steps between rows of properties."""
    frame_stride: int = 0
    """Steps between frames of the trajectories; by default 20, for trpmd as many as make 2.5 fs, for spectra."""
    seed: int = 0
    """Of velocities and thermostat."""
    method: str = "pimd"
    """pimd: thermostats on all normal modes; trpmd: on the internal modes of the ring polymer alone, for spectra
    (Rossi et al., J. Chem. Phys. 140, 234116), thermostat and its time constant are not looked at."""
    equilibrate: float | None = None
    """ps with PILE on all modes before the run, not written; for trpmd ten time constants by default, else none."""
    transport: str = "direct"
    """direct: i-PI evaluates the model itself; socket: a client does, which may die and be replaced."""

    def __post_init__(self) -> None:
        if self.frame_stride == 0 and self.timestep > 0:
            usual = max(1, int(SPECTRAL / self.timestep + 1e-9)) if self.method == "trpmd" else USUAL
            object.__setattr__(self, "frame_stride", usual)
        positive = ("beads", "temperature", "time", "timestep", "time_constant", "stride", "frame_stride")
        check_positive(self, *positive)
        check_not_negative(self, "equilibrate")
        check_choice("thermostat", self.thermostat, THERMOSTATS)
        check_choice("transport", self.transport, TRANSPORTS)
        check_choice("method", self.method, METHODS)
        if self.n_steps < 1:
            raise ValueError(f"time {self.time} ps is shorter than a timestep of {self.timestep} fs")

    @property
    def n_steps(self) -> int:
        """Steps of the whole run."""
        return round(1000.0 * self.time / self.timestep)

    @property
    def checkpoint_stride(self) -> int:
        """Steps between checkpoints."""
        return max(1, min(LONGEST_INTERVAL, self.n_steps // CHECKPOINTS))

    @property
    def n_equilibration(self) -> int:
        """Steps with a thermostat on all modes before the run, which aren't written."""
        first = self.equilibrate
        if first is None:
            first = 1e-3 * EQUILIBRATION * self.time_constant if self.method == "trpmd" else 0.0
        return round(1000.0 * first / self.timestep)
