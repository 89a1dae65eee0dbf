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
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from schnet_calc.simulate.modes import rigid_motions

THERMOSTATS = ("none", "langevin", "bussi", "nose-hoover")
EQUILIBRATION = 0.2
"""Share of a run that is left out of averages and distributions."""
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

    def drift(self, n_atoms: int) -> float:
        """Slope of the total energy, eV/atom/ps; meaningful without a thermostat."""
        table = self.table()
        return float(np.polyfit(table["time_ps"], table["total_ev"], 1)[0] / n_atoms)

    def late_frames(self) -> list[ase.Atoms]:
        """The frames without the first part (:data:`EQUILIBRATION`) of the run."""
        with Trajectory(self.trajectory) as trajectory:
            first = int(EQUILIBRATION * len(trajectory))
            return [trajectory[k] for k in range(first, len(trajectory))]


def run_md(
    atoms: ase.Atoms,
    calculator: Any,
    settings: MDSettings,
    directory: str | Path,
    resume: bool = False,
    progress: Callable[[int, ase.Atoms], None] | None = None,
    n_free: int | None = None,
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
        Go on from the last frame in the folder. An NVE run continues exactly; a thermostat
        continues with fresh random numbers or a fresh chain.
    progress : callable, optional
        Called with the step and the atoms at every frame.
    n_free : int, optional
        Momenta that can take up heat; by default as :func:`degrees_of_freedom` counts them.

    Raises
    ------
    FileExistsError
        The folder holds a trajectory and ``resume`` is false.
    ValueError
        The folder's run has other settings, another model or other atoms.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    run = MDRun(directory / "md.traj", directory / "md.csv", settings.n_steps)
    identity = _identity(atoms, calculator, settings)
    found = _last_frame(directory, run, identity, settings.interval) if run.trajectory.exists() else None
    if found is not None and not resume:
        raise FileExistsError(f"{run.trajectory} exists: resume it or choose another folder")
    if found is None:
        (directory / "md.json").write_text(json.dumps(identity, indent=1))
    moving, done = found or (first_momenta(atoms, settings.temperature, settings.seed), -settings.interval)
    moving.calc = calculator
    free = degrees_of_freedom(moving, settings.thermostat) if n_free is None else n_free
    dynamics = _integrator(moving, settings, free, np.random.default_rng([settings.seed, 1, max(done, 0)]))
    mode = "w" if found is None else "a"
    with Trajectory(run.trajectory, mode) as trajectory, run.log.open(mode, newline="") as stream:
        writer = csv.writer(stream)
        if found is None:
            writer.writerow(CSV_FIELDS)
        for step in range(done + settings.interval, settings.n_steps + 1, settings.interval):
            if step:
                dynamics.run(settings.interval)
            # The row first: a row too many is cut on resuming, a missing one could not be filled.
            writer.writerow(_row(step, moving, settings, free))
            stream.flush()
            trajectory.write(moving)
            if progress is not None:
                progress(step, moving)
    return run


def degrees_of_freedom(atoms: ase.Atoms, thermostat: str) -> int:
    """Momenta that can take up heat: 3N, less the rigid motions that stand still and stay so.

    Langevin's random forces excite all 3N; the other integrators conserve the total momentum and, for
    molecules, the angular momentum.
    """
    n_free = 3 * len(atoms)
    if thermostat == "langevin" or len(atoms) < 2:
        return n_free
    scale = 1e-8 + 1e-6 * float(np.abs(atoms.get_momenta()).sum())
    if np.abs(atoms.get_momenta().sum(axis=0)).max() < scale:
        n_free -= 3
    if not atoms.pbc.any() and np.abs(atoms.get_angular_momentum()).max() < 10 * scale:
        n_free -= len(rigid_motions(atoms)) - 3
    return n_free


def _identity(atoms: ase.Atoms, calculator: Any, settings: MDSettings) -> dict[str, Any]:
    """What has to be the same for a run to go on."""
    hashes = [p.sha256 for p in getattr(calculator, "potentials", [])]
    kept = {k: v for k, v in asdict(settings).items() if k != "time"}
    return {
        **kept,
        "atomic_numbers": atoms.numbers.tolist(),
        "model": "+".join(hashes) or type(calculator).__name__,
        **getattr(calculator, "identity", {}),
    }


def first_momenta(atoms: ase.Atoms, temperature: float, seed: int | list[int]) -> ase.Atoms:
    """A copy with its own momenta, or if it has none with momenta drawn for K, free of rigid motion."""
    moving = atoms.copy()
    if not np.any(moving.get_momenta()):
        rng = np.random.default_rng(seed)
        thermalize_momenta(moving, temperature_K=temperature, rng=rng)
        if len(moving) > 1:
            _stop_rigid_motion(moving)
    return moving


def _stop_rigid_motion(atoms: ase.Atoms) -> None:
    """Project out translation and, for molecules (linear ones too), rotation."""
    weights = np.sqrt(atoms.get_masses())[:, None]
    rigid = rigid_motions(atoms)[: 3 if atoms.pbc.any() else None]
    velocities = (atoms.get_momenta() / weights).ravel()
    velocities -= rigid.T @ (rigid @ velocities)
    atoms.set_momenta(velocities.reshape(-1, 3) * weights)


def _last_frame(
    directory: Path, run: MDRun, identity: dict[str, Any], interval: int
) -> tuple[ase.Atoms, int] | None:
    """The last frame and its step, None if there is no frame; the log is cut to the frames there are."""
    if not run.trajectory.stat().st_size:
        return None
    with Trajectory(run.trajectory) as trajectory:
        n_frames = len(trajectory)
        if not n_frames:
            return None
        atoms = trajectory[-1]
    saved = json.loads((directory / "md.json").read_text())
    for key, value in identity.items():
        if saved.get(key) != value:
            raise ValueError(f"the run in {directory} has {key} = {saved.get(key)!r}, not {value!r}")
    lines = run.log.read_text().splitlines(keepends=True)
    run.log.write_text("".join(lines[: n_frames + 1]))
    return atoms, (n_frames - 1) * interval


def _integrator(
    atoms: ase.Atoms, settings: MDSettings, n_free: int, rng: np.random.Generator
) -> MolecularDynamics:
    timestep, tau = settings.timestep * units.fs, settings.time_constant * units.fs
    kelvin = settings.temperature
    if settings.thermostat == "none":
        return VelocityVerlet(atoms, timestep)
    if settings.thermostat == "langevin":
        # fixcm=True, the default, would not sample the canonical ensemble.
        return Langevin(atoms, timestep, temperature_K=kelvin, friction=1.0 / tau, rng=rng, fixcm=False)
    if settings.thermostat == "bussi":
        dynamics = Bussi(atoms, timestep, temperature_K=kelvin, taut=tau, rng=rng)
        dynamics.ndof = n_free
        dynamics.target_kinetic_energy = 0.5 * n_free * units.kB * kelvin
        return dynamics
    # ASE's chain counts 3N degrees of freedom: ask for the kinetic energy that n_free of them have.
    shared = kelvin * n_free / (3 * len(atoms))
    return NoseHooverChainNVT(atoms, timestep, temperature_K=shared, tdamp=tau)


def _row(step: int, atoms: ase.Atoms, settings: MDSettings, n_free: int) -> tuple[str, ...]:
    potential, kinetic = atoms.get_potential_energy(), atoms.get_kinetic_energy()
    return (
        f"{step * settings.timestep / 1000.0:.6f}",
        f"{potential:.9f}",
        f"{kinetic:.9f}",
        f"{potential + kinetic:.9f}",
        f"{2.0 * kinetic / (max(n_free, 1) * units.kB):.4f}",
    )
