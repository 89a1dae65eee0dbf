"""Molecular dynamics with ASE's integrators: streamed to disk, resumable."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
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
from ase.md.nose_hoover_chain import IsotropicMTKNPT, NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet

from schnet_calc.folders import locked
from schnet_calc.interruption import whole
from schnet_calc.simulate.equilibration import (
    degrees_of_freedom,
    equilibrate,
    equilibration_time,
    first_momenta,
)
from schnet_calc.simulate.md_files import (
    CSV_FIELDS,
    Heat,
    MDRun,
    MDSettings,
    check_start,
    last_frame,
    log_row,
    start_of,
)
from schnet_calc.simulate.replica_dynamics import ReplicaDynamics

__all__ = ["MDRun", "MDSettings", "degrees_of_freedom", "first_momenta", "run_md"]


def run_md(
    atoms: ase.Atoms,
    calculator: Any,
    settings: MDSettings,
    directory: str | Path,
    resume: bool = False,
    progress: Callable[[int, ase.Atoms], None] | None = None,
    members: Sequence[ase.Atoms] | None = None,
) -> MDRun:
    """Run molecular dynamics, writing ``md.traj``, ``md.csv`` and ``md.json`` into a folder.

    Parameters
    ----------
    atoms : Atoms
        Where to start; not changed. Its momenta are used if there are any, else drawn for the
        temperature, without overall translation and (molecules) rotation. Runs without thermostat are then
        equilibrated, see :attr:`MDSettings.equilibrate`.
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
        Called with the step and the atoms at every frame; steps of the equilibration are negative.
    members : sequence of Atoms, optional
        The replicas, if the atoms are several that don't see each other: the log has their means.

    Raises
    ------
    FileExistsError
        The folder holds a trajectory and ``resume`` is false.
    ValueError
        The folder's run has other settings, another model, other atoms or another start; a pressure for what
        is no crystal.
    """
    directory = Path(directory)
    with locked(directory):
        run = _run_in(directory, settings, atoms)
        replicas = list(members or [atoms])
        picoseconds = equilibration_time(settings, replicas)
        identity = _identity(atoms, calculator, settings) | {"equilibrate": picoseconds}
        heat = _heat(replicas, settings, at_rest=picoseconds > 0)
        found = last_frame(run, identity, settings, heat) if run.trajectory.exists() else None
        if found is None:
            (directory / "md.json").write_text(json.dumps(identity | start_of(atoms), indent=1))
        elif resume:
            check_start(directory, atoms)
        else:
            raise FileExistsError(f"{run.trajectory} exists: resume it or choose another folder")
        first = found or (first_momenta(atoms, settings.temperature, settings.seed), -settings.interval)
        first[0].calc = calculator
        if found is None and picoseconds:
            equilibrate(first[0], replicas, settings, picoseconds, progress)
        dynamics = _integrator(first[0], replicas, settings, heat.n_free, max(first[1], 0))
        _go_on(dynamics, first, found is None, settings, heat, run, progress)
    return run


def _run_in(directory: Path, settings: MDSettings, atoms: ase.Atoms) -> MDRun:
    npt = settings.pressure is not None
    if npt and not atoms.pbc.all():
        raise ValueError(f"a pressure needs a crystal, pbc is {atoms.pbc.tolist()}")
    return MDRun(directory / "md.traj", directory / "md.csv", settings.n_steps, npt)


def _go_on(
    dynamics: MolecularDynamics | ReplicaDynamics,
    start: tuple[ase.Atoms, int],
    new: bool,
    settings: MDSettings,
    heat: Heat,
    run: MDRun,
    progress: Callable[[int, ase.Atoms], None] | None,
) -> None:
    """Integrate from a structure and its step to the end, writing a row and a frame at every interval."""
    moving, done = start
    mode = "w" if new else "a"
    with Trajectory(run.trajectory, mode) as trajectory, run.log.open(mode, newline="") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(CSV_FIELDS)
        for step in range(done + settings.interval, settings.n_steps + 1, settings.interval):
            if step:
                dynamics.run(settings.interval)
            with whole():
                # The row first: a row too many is cut on resuming.
                writer.writerow(log_row(step, moving, settings, heat))
                stream.flush()
                trajectory.write(moving)
            if progress is not None:
                progress(step, moving)


def _heat(replicas: Sequence[ase.Atoms], settings: MDSettings, at_rest: bool) -> Heat:
    """Momenta that take up heat; none of the rigid motions where they start at rest."""
    free = 0
    for atoms in replicas:
        counted = atoms.copy()
        if at_rest:
            counted.set_momenta(None)
        free += degrees_of_freedom(counted, settings.thermostat)
    return Heat(free, len(replicas))


def _identity(atoms: ase.Atoms, calculator: Any, settings: MDSettings) -> dict[str, Any]:
    """What has to be the same for a run to go on."""
    hashes = [p.sha256 for p in getattr(calculator, "potentials", [])]
    kept = {k: v for k, v in asdict(settings).items() if k != "time" and (k, v) != ("pressure", None)}
    return {
        **kept,
        "atomic_numbers": atoms.numbers.tolist(),
        "model": "+".join(hashes) or type(calculator).__name__,
        **getattr(calculator, "identity", {}),
    }


def _integrator(
    atoms: ase.Atoms, members: Sequence[ase.Atoms], settings: MDSettings, n_free: int, done: int
) -> MolecularDynamics | ReplicaDynamics:
    """ASE's for one system; for replicas that of ring polymers."""
    if len(members) > 1:
        return ReplicaDynamics(atoms, members, settings, settings.thermostat, [1, done])
    rng = np.random.default_rng([settings.seed, 1, done])
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
    if settings.pressure is not None:
        return IsotropicMTKNPT(
            atoms,
            timestep,
            temperature_K=shared,
            pressure_au=settings.pressure * units.GPa,
            tdamp=tau,
            pdamp=10.0 * tau,
        )
    return NoseHooverChainNVT(atoms, timestep, temperature_K=shared, tdamp=tau)
