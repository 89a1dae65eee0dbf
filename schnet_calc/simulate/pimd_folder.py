"""The folder of a path-integral run: whose it is, and what is in it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis.averages import N_BLOCKS
from schnet_calc.analysis.path_integrals import PathIntegralEstimators, path_integral_estimators
from schnet_calc.folders import check_same
from schnet_calc.ipi.doubts import Doubts, read_doubts
from schnet_calc.ipi.input import PIMDSettings, i_pi_structure
from schnet_calc.ipi.outputs import PREFIX, bead_files, read_frames, read_properties
from schnet_calc.simulate.md_files import EQUILIBRATION

FloatArray = NDArray[np.float64]
IDENTITY = "pimd.json"
SAME_START = 1e-3
"""Å"""


@dataclass(frozen=True)
class PIMDRun:
    """Outcome of a path-integral simulation: i-PI's output files, in a folder or one for each replica."""

    directory: Path
    settings: PIMDSettings

    @property
    def folders(self) -> list[Path]:
        """Of each replica; the directory itself where there is one."""
        return sorted(self.directory.glob("replica_*")) or [self.directory]

    def tables(self) -> list[dict[str, FloatArray]]:
        """Return the columns (rows,) of ``simulation.out`` of each replica: ps, eV, K, Å."""
        return [read_properties(folder / f"{PREFIX}.out") for folder in self.folders]

    def table(self) -> dict[str, FloatArray]:
        """Return the same (rows,), means over replicas: ps, eV, K, Å."""
        tables = self.tables()
        return {name: np.mean([table[name] for table in tables], axis=0) for name in tables[0]}

    def estimators(self) -> PathIntegralEstimators | None:
        """Averages after equilibration; None where there are too few rows for errors."""
        late = [{k: _late(v) for k, v in table.items()} for table in self.tables()]
        if len(late) * len(late[0]["step"]) < N_BLOCKS:
            return None
        n_atoms = len(self.centroids()[0])
        return path_integral_estimators(late, n_atoms, self.settings.temperature)

    def beads(self) -> list[list[ase.Atoms]]:
        """Frames of each bead, Å: replica after replica."""
        return [read_frames(path) for folder in self.folders for path in bead_files(folder)]

    def late_beads(self) -> list[list[ase.Atoms]]:
        """Frames of each bead without the first part of the run."""
        return [_late(frames) for frames in self.beads()]

    @property
    def doubts(self) -> Doubts:
        """How many structures lay outside of what the model knows, and why the first one did."""
        return read_doubts(self.directory)

    def centroids(self, replica: int = 0) -> list[ase.Atoms]:
        """Frames of the centroids of a replica, Å."""
        return read_frames(self.folders[replica] / f"{PREFIX}.centroid.xyz")


def _late(series: Any) -> Any:
    return series[int(EQUILIBRATION * len(series)) :]


def claim(directory: Path, atoms: ase.Atoms, identity: dict[str, Any], resume: bool) -> bool:
    """Make a folder that of a run.

    Parameters
    ----------
    directory : Path
        It exists.
    atoms : Atoms
        Where the run starts.
    identity : dict
        Of :func:`identity_of`.
    resume : bool
        Whether a run that is there may go on.

    Returns
    -------
    bool
        Whether there is one.

    Raises
    ------
    FileExistsError
        There is one, and ``resume`` is false; or output whose origin nothing says.
    ValueError
        It is another one.
    """
    saved = directory / IDENTITY
    if saved.exists():
        if not resume:
            raise FileExistsError(f"{directory} holds a run: resume it or choose another folder")
        old = json.loads(saved.read_text())
        _check_same_start(np.array(old.pop("start", [])), atoms, directory)
        check_same(directory, old, identity)
        return True
    if any(directory.glob(f"{PREFIX}.*")):
        raise FileExistsError(f"{directory} holds i-PI output of another run: choose another folder")
    start = i_pi_structure(atoms).positions.round(6).tolist()
    saved.write_text(json.dumps({**identity, "start": start}))
    return False


def _check_same_start(old: FloatArray, atoms: ase.Atoms, directory: Path) -> None:
    """A relaxation that is repeated ends within its tolerance of the first: that is the same start."""
    new = i_pi_structure(atoms).positions
    if old.shape == new.shape and (off := float(np.abs(old - new).max(initial=0.0))) > SAME_START:
        raise ValueError(f"the run in {directory} started from positions up to {off:.2g} Å off these")


def identity_of(
    atoms: ase.Atoms, hashes: Sequence[str], settings: PIMDSettings, replicas: int | None = None
) -> dict[str, Any]:
    """Return what has to be the same for a run to go on.

    Parameters
    ----------
    atoms : Atoms
        Where it starts.
    hashes : sequence of str
        SHA-256 of the model files.
    settings : PIMDSettings
        Time and transport may be others.
    replicas : int, optional
        Of runs without i-PI.
    """
    kept = {k: v for k, v in asdict(settings).items() if k not in ("time", "transport")}
    return {
        **kept,
        "replicas": replicas,
        "atomic_numbers": atoms.numbers.tolist(),
        "masses": atoms.get_masses().tolist(),
        "pbc": atoms.pbc.tolist(),
        "cell": atoms.cell.array.round(6).tolist() if atoms.pbc.any() else None,
        "model": list(hashes),
    }
