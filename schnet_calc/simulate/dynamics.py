"""Time series of the dynamics in a folder: classical, of many replicas, or of path integrals."""

import json
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from ase import units
from ase.io.trajectory import Trajectory
from numpy.typing import NDArray

from schnet_calc.analysis.spectra import vibrational_spectrum
from schnet_calc.analysis.spectrum import LOWEST
from schnet_calc.ipi.input import STRUCTURE
from schnet_calc.ipi.outputs import bead_files, read_frames
from schnet_calc.simulate.equilibration import degrees_of_freedom
from schnet_calc.simulate.md_files import EQUILIBRATION
from schnet_calc.simulate.modes import rigid_motions

FloatArray = NDArray[np.float64]


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
        """Return the kinetic temperatures (R,) of the replicas, K; of the vibrations where there are no momenta."""
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
    warmed = settings.get("method") == "trpmd" and settings.get("equilibrate", 0.0) != 0.0
    skipped = 0.0 if warmed else EQUILIBRATION
    replicas = [_beads(part, skipped) for part in sorted(folder.glob("replica_*")) or [folder]]
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


def _beads(folder: Path, skipped: float) -> list[FloatArray]:
    """(M, N, 3) Å of each bead of a replica, without the first part of the run."""
    beads = [read_frames(path) for path in bead_files(folder)]
    length = min(len(frames) for frames in beads)  # of a run that goes on, some may be a frame ahead
    return [np.stack([f.positions for f in frames[int(skipped * length) : length]]) for frames in beads]


def rotations_onto(reference: ase.Atoms, positions: FloatArray) -> FloatArray:
    """Return (M, 3, 3) rotations R for which the frames, as ``(x - centre) @ R``, lie best on a structure (Kabsch).

    Parameters
    ----------
    reference : Atoms
        With masses, by which distances are weighted.
    positions : array
        (M, N, 3) Å.
    """
    masses = reference.get_masses()
    arms = (reference.positions - reference.get_center_of_mass()) * masses[:, None]
    centres = (positions * masses[:, None]).sum(axis=1, keepdims=True) / masses.sum()
    left, _, right = np.linalg.svd(np.einsum("mna,nb->mab", positions - centres, arms))
    left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
    return np.asarray(left @ right)
