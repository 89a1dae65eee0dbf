"""Spectra from the dynamics in a folder: classical, of many replicas, or of path integrals (TRPMD)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from ase.io.trajectory import Trajectory
from numpy.typing import NDArray

from schnet_calc.analysis.spectra import Spectrum, infrared_spectrum, vibrational_spectrum
from schnet_calc.ipi.input import STRUCTURE
from schnet_calc.ipi.outputs import bead_files, read_frames
from schnet_calc.model import Model
from schnet_calc.simulate.md_files import EQUILIBRATION

FloatArray = NDArray[np.float64]
BATCH = 512
"""Structures whose dipoles are evaluated at a time."""


@dataclass(frozen=True)
class Dynamics:
    """Time series of one or several replicas of a molecule."""

    atoms: ase.Atoms
    """Species and masses."""
    positions: list[FloatArray]
    """(M, N, 3) Å of each replica; of the centroid for path integrals."""
    beads: list[list[FloatArray]]
    """For each replica the (M, N, 3) Å of its beads; the positions alone in classical dynamics."""
    timestep: float
    """fs between frames."""
    temperature: float
    """K."""
    kind: str
    """``"classical"`` or ``"path integral"``."""


@dataclass(frozen=True)
class DynamicSpectra:
    """Outcome of :func:`spectra`."""

    vibrational: Spectrum
    """Vibrational density of states."""
    infrared: Spectrum | None
    """Absorption; None of a model without dipoles."""


def read_dynamics(folder: str | Path) -> Dynamics:
    """Read the run of ``schnet-calc md`` (replicas too) or ``schnet-calc pimd`` in a folder.

    The first fifth is left out.

    Raises
    ------
    FileNotFoundError
        There is no such run.
    ValueError
        It has too few frames.
    """
    folder = Path(folder)
    if (folder / "md.traj").is_file():
        return _classical(folder)
    if (folder / "pimd.json").is_file():
        return _path_integral(folder)
    raise FileNotFoundError(f"{folder} holds no run of md or pimd: neither md.traj nor pimd.json")


def _classical(folder: Path) -> Dynamics:
    settings = json.loads((folder / "md.json").read_text())
    with Trajectory(folder / "md.traj") as trajectory:
        frames = [trajectory[k] for k in range(int(EQUILIBRATION * len(trajectory)), len(trajectory))]
    sizes = settings.get("replicas") or [len(frames[0])]
    if len(set(sizes)) > 1:
        raise ValueError(f"{folder} holds replicas of different sizes: {sorted(set(sizes))}")
    every = np.stack([f.positions for f in frames]).reshape(len(frames), len(sizes), sizes[0], 3)
    positions = [every[:, k] for k in range(len(sizes))]
    return Dynamics(
        frames[0][: sizes[0]],
        positions,
        [[x] for x in positions],
        settings["timestep"] * settings["interval"],
        settings["temperature"],
        "classical",
    )


def _path_integral(folder: Path) -> Dynamics:
    settings = json.loads((folder / "pimd.json").read_text())
    atoms = ase.io.read(folder / STRUCTURE)
    assert isinstance(atoms, ase.Atoms)
    beads = []
    for path in bead_files(folder):
        frames = read_frames(path)
        beads.append(np.stack([f.positions for f in frames[int(EQUILIBRATION * len(frames)) :]]))
    centroid = np.mean(beads, axis=0)
    return Dynamics(
        atoms,
        [centroid],
        [beads],
        settings["timestep"] * settings["frame_stride"],
        settings["temperature"],
        "path integral",
    )


def spectra(
    runs: Sequence[Dynamics], model: Model | None = None, quantum: str = "harmonic", resolution: float = 5.0
) -> DynamicSpectra:
    """Return density of states and, with a model that has dipoles, infrared absorption of runs together.

    Parameters
    ----------
    runs : sequence of Dynamics
        Of one molecule; each replica counts the same.
    model : Model, optional
        That the dipoles are taken from, in batches along the trajectories; a path integral's dipole is the mean
        over its beads.
    quantum : str
        Correction of the lineshape, as for :func:`~schnet_calc.analysis.spectra.infrared_spectrum`.
    resolution : float
        cm⁻¹.

    Raises
    ------
    ValueError
        The runs have other time steps, or a run is too short.
    """
    steps = {run.timestep for run in runs}
    if len(steps) != 1:
        raise ValueError(f"runs of different time between frames can't be joined: {sorted(steps)} fs")
    timestep = steps.pop()
    if timestep > 5.0:
        raise ValueError(
            f"{timestep:g} fs between frames are too long for vibrations: write a frame every 4 fs or less"
        )
    velocities = [np.gradient(x, timestep, axis=0) for run in runs for x in run.positions]
    masses = runs[0].atoms.get_masses()
    density = vibrational_spectrum(velocities, masses, timestep, resolution=resolution)
    if model is None or "dipole" not in model.outputs:
        return DynamicSpectra(density, None)
    dipoles = [_dipoles(run.atoms, beads, model) for run in runs for beads in run.beads]
    absorption = infrared_spectrum(dipoles, timestep, runs[0].temperature, quantum, resolution=resolution)
    return DynamicSpectra(density, absorption)


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
