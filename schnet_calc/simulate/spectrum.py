"""Spectra from the dynamics in a folder: classical, of many replicas, or of path integrals (TRPMD)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase import units
from ase.io.trajectory import Trajectory
from numpy.typing import NDArray

from schnet_calc.analysis.averages import Estimate, mean_of_independent
from schnet_calc.analysis.spectra import (
    INVCM_FS,
    check_sampling,
    infrared_spectrum,
    vibrational_spectrum,
)
from schnet_calc.analysis.spectrum import LOWEST, Spectrum
from schnet_calc.ipi.input import STRUCTURE
from schnet_calc.ipi.outputs import bead_files, read_frames
from schnet_calc.model import Model
from schnet_calc.simulate.equilibration import degrees_of_freedom
from schnet_calc.simulate.md_files import EQUILIBRATION
from schnet_calc.simulate.modes import rigid_motions
from schnet_calc.simulate.stiffest import stiffest_guess, stiffest_mode

FloatArray = NDArray[np.float64]
BATCH = 512
"""Structures whose dipoles are evaluated at a time."""


@dataclass(frozen=True)
class Dynamics:
    """Time series of one or several replicas of a molecule, and how they were made."""

    atoms: ase.Atoms
    """Species and masses."""
    positions: list[FloatArray]
    """(M, N, 3) Å of each replica; of the centroid for path integrals."""
    momenta: list[FloatArray] | None
    """(M, N, 3) of each replica, ASE's unit, where they were written."""
    beads: list[list[FloatArray]]
    """For each replica the (M, N, 3) Å of its beads; the positions alone in classical dynamics."""
    timestep: float
    """fs between frames."""
    asked: float
    """K, the temperature of the settings."""
    kind: str
    """``"classical"`` or ``"path integral"``."""
    thermostat: str
    """That of :class:`~schnet_calc.MDSettings`; of path integrals the method."""
    time_constant: float
    """fs, of the thermostat."""

    @property
    def modes(self) -> int:
        """Vibrations of one replica, or all motions but translation for what is periodic."""
        rigid = 3 if self.atoms.pbc.any() else len(rigid_motions(self.atoms))
        return max(3 * len(self.atoms) - rigid, 1)

    def temperatures(self) -> FloatArray:
        """Return the kinetic temperature that each replica had, K; of the vibrations where there are no momenta."""
        if self.momenta is None:
            found = vibrational_spectrum(
                self.positions, self.atoms.get_masses(), self.timestep, positions=True
            )
            inside = found.wavenumbers >= LOWEST
            areas = np.trapezoid(found.densities[:, inside], found.wavenumbers[inside], axis=1)
            return np.asarray(areas / self.modes)
        kinetic = [(p**2 / self.atoms.get_masses()[:, None]).sum() / len(p) for p in self.momenta]
        free = degrees_of_freedom(self._first_moving(), self.thermostat)
        return np.array(kinetic) / (max(free, 1) * units.kB)

    def _first_moving(self) -> ase.Atoms:
        moving = self.atoms.copy()
        assert self.momenta is not None
        moving.positions = self.positions[0][0]
        moving.set_momenta(self.momenta[0][0])
        return moving


@dataclass(frozen=True)
class DynamicSpectra:
    """Outcome of :func:`spectra`."""

    vibrational: Spectrum
    """Vibrational density of states."""
    infrared: Spectrum | None
    """Absorption; None of a model without dipoles."""
    temperature: Estimate
    """K that the motion had."""
    asked: float
    """K of the settings."""
    notes: tuple[str, ...] = ()
    """What a reader should know."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        error = None if np.isnan(self.temperature.error) else self.temperature.error
        return {
            "temperature_k": {"value": self.temperature.value, "error": error},
            "asked_temperature_k": self.asked,
            "notes": list(self.notes),
            "vibrational": self.vibrational.to_dict(),
            "infrared": self.infrared.to_dict() if self.infrared else None,
        }


def read_dynamics(folder: str | Path) -> Dynamics:
    """Read the run of ``schnet-calc md`` (replicas too) or ``schnet-calc pimd`` in a folder.

    The first fifth is left out where the run wasn't equilibrated before it was written.

    Raises
    ------
    FileNotFoundError
        There is no such run.
    ValueError
        Its replicas are of different sizes.
    """
    folder = Path(folder)
    if (folder / "md.traj").is_file():
        return _classical(folder)
    if (folder / "pimd.json").is_file():
        return _path_integral(folder)
    raise FileNotFoundError(f"{folder} holds no run of md or pimd: neither md.traj nor pimd.json")


def _classical(folder: Path) -> Dynamics:
    settings = json.loads((folder / "md.json").read_text())
    skipped = 0.0 if settings.get("equilibrate") else EQUILIBRATION
    with Trajectory(folder / "md.traj") as trajectory:
        frames = [trajectory[k] for k in range(int(skipped * len(trajectory)), len(trajectory))]
    sizes = settings.get("replicas") or [len(frames[0])]
    if len(set(sizes)) > 1:
        raise ValueError(f"{folder} holds replicas of different sizes: {sorted(set(sizes))}")
    shape = (len(frames), len(sizes), sizes[0], 3)
    positions = np.stack([f.positions for f in frames]).reshape(shape)
    momenta = np.stack([f.get_momenta() for f in frames]).reshape(shape)
    return Dynamics(
        frames[0][: sizes[0]],
        [positions[:, k] for k in range(len(sizes))],
        [momenta[:, k] for k in range(len(sizes))],
        [[positions[:, k]] for k in range(len(sizes))],
        settings["timestep"] * settings["interval"],
        settings["temperature"],
        "classical",
        settings["thermostat"],
        settings["time_constant"],
    )


def _path_integral(folder: Path) -> Dynamics:
    settings = json.loads((folder / "pimd.json").read_text())
    atoms = ase.io.read(folder / STRUCTURE)
    assert isinstance(atoms, ase.Atoms)
    replicas = [_beads(part) for part in sorted(folder.glob("replica_*")) or [folder]]
    return Dynamics(
        atoms,
        [np.mean(beads, axis=0) for beads in replicas],
        None,
        replicas,
        settings["timestep"] * settings["frame_stride"],
        settings["temperature"],
        "path integral",
        settings.get("method", "pimd"),
        settings["time_constant"],
    )


def _beads(folder: Path) -> list[FloatArray]:
    """(M, N, 3) Å of each bead of a replica, without the first part of the run."""
    found = []
    for path in bead_files(folder):
        frames = read_frames(path)
        found.append(np.stack([f.positions for f in frames[int(EQUILIBRATION * len(frames)) :]]))
    return found


def check_ensemble(run: Dynamics, resolution: float) -> str | None:
    """Refuse dynamics that a thermostat has made another one of; return a word on what it may have changed.

    Parameters
    ----------
    run : Dynamics
        With its thermostat known.
    resolution : float
        cm⁻¹ that the thermostat may broaden a line by.

    Raises
    ------
    ValueError
        Langevin's friction broadens the lines by more, or path integrals with thermostats on the centroid.
    """
    if run.kind == "path integral":
        if run.thermostat != "pimd":
            return None
        raise ValueError(
            "path integrals with thermostats on all modes have no dynamics: run pimd with --method trpmd"
        )
    if run.thermostat == "none":
        return None
    if run.thermostat == "langevin":
        width = INVCM_FS / (2.0 * np.pi * run.time_constant)
        if width > resolution:
            raise ValueError(
                f"the thermostat langevin with a time constant of {run.time_constant:g} fs broadens lines by "
                f"{width:.0f} cm⁻¹, more than the resolution of {resolution:.0f} cm⁻¹: run md with "
                "--thermostat none"
            )
        return f"langevin with {run.time_constant:g} fs broadens lines by {width:.1f} cm⁻¹"
    return f"the thermostat {run.thermostat} was on: lines may be broader than without"


def spectra(
    runs: Sequence[Dynamics],
    model: Model | None = None,
    quantum: str = "harmonic",
    resolution: float | None = None,
) -> DynamicSpectra:
    """Return density of states and, with a model that has dipoles, infrared absorption of runs together.

    Parameters
    ----------
    runs : sequence of Dynamics
        Of one molecule and one kind; all their replicas are pooled.
    model : Model, optional
        That the dipoles are taken from, in batches along the trajectories; a path integral's dipole is the mean
        over its beads. It tells how far apart frames may lie, too.
    quantum : str
        Correction of the lineshape, as for :func:`~schnet_calc.analysis.spectra.infrared_spectrum`.
    resolution : float, optional
        cm⁻¹, as for :func:`~schnet_calc.analysis.spectra.spectrum`.

    Raises
    ------
    ValueError
        The runs have other time steps, a run is too short, its frames lie too far apart for the stiffest mode, or
        its thermostat has changed the dynamics.
    """
    steps = {run.timestep for run in runs}
    if len(steps) != 1:
        raise ValueError(f"runs of different time between frames can't be joined: {sorted(steps)} fs")
    timestep, first = steps.pop(), runs[0]
    start = first.atoms.copy()
    start.positions = first.beads[0][0][0]
    check_sampling(timestep, stiffest_guess(start) if model is None else stiffest_mode(start, model))
    by_positions = any(run.momenta is None for run in runs)
    series = [x for run in runs for x in (run.positions if by_positions else run.momenta or [])]
    density = vibrational_spectrum(
        series, first.atoms.get_masses(), timestep, positions=by_positions, resolution=resolution
    )
    notes = dict.fromkeys(check_ensemble(run, density.resolution) for run in runs)
    reached = _temperature(runs)
    absorption = None
    if model is not None and "dipole" in model.outputs:
        dipoles = [_dipoles(run.atoms, beads, model) for run in runs for beads in run.beads]
        absorption = infrared_spectrum(dipoles, timestep, reached.value, quantum, resolution=resolution)
    kept = tuple(note for note in notes if note)
    return DynamicSpectra(density, absorption, reached, first.asked, kept)


def _temperature(runs: Sequence[Dynamics]) -> Estimate:
    """Of all replicas; its error from their scatter."""
    return mean_of_independent(np.concatenate([run.temperatures() for run in runs]))


def _dipoles(atoms: ase.Atoms, beads: Sequence[FloatArray], model: Model) -> FloatArray:
    """(M, 3) e·Å, the mean over beads."""
    total = np.zeros((len(beads[0]), 3))
    for frames in beads:
        for first in range(0, len(frames), BATCH):
            part = frames[first : first + BATCH]
            structures = []
            for positions in part:
                moved = atoms.copy()
                moved.positions = positions
                moved.pbc = False
                structures.append(moved)
            found = model.evaluate(structures, ["dipole"])
            total[first : first + len(part)] += [p.outputs["dipole"] for p in found]
    return total / len(beads)
