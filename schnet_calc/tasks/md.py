"""Molecular dynamics with ASE's integrators: streamed to disk, resumable."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase import units
from ase.io.trajectory import Trajectory
from ase.md.bussi import Bussi
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from ase.md.verlet import VelocityVerlet

THERMOSTATS = ("none", "langevin", "bussi", "nose-hoover")
CSV_FIELDS = ("time_ps", "potential_ev", "kinetic_ev", "total_ev", "temperature_k")


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
    interval: int = 10
    """Steps between two frames written."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.thermostat not in THERMOSTATS:
            raise ValueError(f"thermostat is one of {', '.join(THERMOSTATS)}, got {self.thermostat!r}")
        for name in ("temperature", "time", "timestep", "time_constant", "interval"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be positive and finite, got {value}")

    @property
    def n_steps(self) -> int:
        """Steps in all, a whole number of intervals."""
        steps = round(self.time * 1000.0 / self.timestep)
        return max(math.ceil(steps / self.interval), 1) * self.interval


@dataclass(frozen=True)
class MDRun:
    """Outcome of :func:`run_md`; the frames stay on disk."""

    trajectory: Path
    """ASE trajectory with positions, momenta, energies and forces."""
    log: Path
    """CSV of :data:`CSV_FIELDS`, a row per frame."""
    steps: int
    """Steps of the whole run."""

    def table(self) -> dict[str, np.ndarray]:
        """The columns of the log."""
        values = np.loadtxt(self.log, delimiter=",", skiprows=1, ndmin=2)
        return dict(zip(CSV_FIELDS, values.T, strict=True))


def run_md(
    atoms: ase.Atoms,
    calculator: Any,
    settings: MDSettings,
    directory: str | Path,
    resume: bool = False,
    progress: Callable[[int, ase.Atoms], None] | None = None,
) -> MDRun:
    """Run molecular dynamics, writing ``md.traj``, ``md.csv`` and ``md.json`` into a folder.

    Parameters
    ----------
    atoms : Atoms
        Where to start; not changed. Its momenta are used if there are any, else drawn for the
        temperature, without overall translation and (molecules) rotation.
    calculator : Calculator
        Any ASE calculator.
    settings : MDSettings
        Temperature, time, thermostat.
    directory : path
        Folder of the run.
    resume : bool
        Go on from the last frame in the folder. An NVE run continues exactly; a stochastic
        thermostat continues with fresh random numbers.
    progress : callable, optional
        Called with the step and the atoms at every frame.

    Raises
    ------
    FileExistsError
        The folder holds a trajectory and ``resume`` is false.
    ValueError
        The folder's run has other settings.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    run = MDRun(directory / "md.traj", directory / "md.csv", settings.n_steps)
    done = 0
    if run.trajectory.exists() and run.trajectory.stat().st_size:
        if not resume:
            raise FileExistsError(f"{run.trajectory} exists: resume it or choose another folder")
        moving, done = _last_frame(directory, run, settings)
    else:
        moving = _start(atoms, settings)
        (directory / "md.json").write_text(json.dumps(asdict(settings), indent=1))
    moving.calc = calculator
    dynamics = _integrator(moving, settings, np.random.default_rng([settings.seed, 1, done]))
    with Trajectory(run.trajectory, "a") as trajectory, run.log.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if not done:
            writer.writerow(CSV_FIELDS)
        for step in range(done, settings.n_steps + 1, settings.interval):
            if step > done:
                dynamics.run(settings.interval)
            if step > done or not done:
                trajectory.write(moving)
                writer.writerow(_row(step, moving, settings))
                stream.flush()
            if progress is not None:
                progress(step, moving)
    return run


def _start(atoms: ase.Atoms, settings: MDSettings) -> ase.Atoms:
    moving = atoms.copy()
    if not np.any(moving.get_momenta()):
        rng = np.random.default_rng(settings.seed)
        thermalize_momenta(moving, temperature_K=settings.temperature, rng=rng)
        if len(moving) > 1:
            Stationary(moving)
        if len(moving) > 2 and not moving.pbc.any():
            ZeroRotation(moving)
    return moving


def _last_frame(directory: Path, run: MDRun, settings: MDSettings) -> tuple[ase.Atoms, int]:
    """The last frame, and its step; the log is cut to the frames that are there."""
    saved = json.loads((directory / "md.json").read_text())
    for key, value in asdict(settings).items():
        if key != "time" and saved[key] != value:
            raise ValueError(f"the run in {directory} has {key} = {saved[key]!r}, not {value!r}")
    with Trajectory(run.trajectory) as trajectory:
        n_frames = len(trajectory)
        atoms = trajectory[-1]
    lines = run.log.read_text().splitlines(keepends=True)
    run.log.write_text("".join(lines[: n_frames + 1]))
    return atoms, (n_frames - 1) * settings.interval


def _integrator(atoms: ase.Atoms, settings: MDSettings, rng: np.random.Generator) -> MolecularDynamics:
    timestep, tau = settings.timestep * units.fs, settings.time_constant * units.fs
    kelvin = settings.temperature
    if settings.thermostat == "none":
        return VelocityVerlet(atoms, timestep)
    if settings.thermostat == "langevin":
        # fixcm=True, the default, would not sample the canonical ensemble.
        return Langevin(atoms, timestep, temperature_K=kelvin, friction=1.0 / tau, rng=rng, fixcm=False)
    if settings.thermostat == "bussi":
        return Bussi(atoms, timestep, temperature_K=kelvin, taut=tau, rng=rng)
    return NoseHooverChainNVT(atoms, timestep, temperature_K=kelvin, tdamp=tau)


def _row(step: int, atoms: ase.Atoms, settings: MDSettings) -> tuple[str, ...]:
    potential, kinetic = atoms.get_potential_energy(), atoms.get_kinetic_energy()
    return (
        f"{step * settings.timestep / 1000.0:.6f}",
        f"{potential:.9f}",
        f"{kinetic:.9f}",
        f"{potential + kinetic:.9f}",
        f"{atoms.get_temperature():.4f}",
    )
