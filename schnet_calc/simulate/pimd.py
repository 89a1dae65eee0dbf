"""Path-integral molecular dynamics: i-PI and its client started, watched, stopped and continued."""

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
from schnet_calc.folders import locked
from schnet_calc.ipi import ModelSpec
from schnet_calc.ipi.input import (
    INPUT,
    STRUCTURE,
    PIMDSettings,
    i_pi_structure,
    write_forcefield,
    write_input,
)
from schnet_calc.ipi.outputs import (
    PREFIX,
    bead_files,
    continue_from,
    cut_outputs,
    last_checkpoint,
    read_frames,
    read_properties,
)
from schnet_calc.ipi.server import Server
from schnet_calc.modelfile import load_potential
from schnet_calc.simulate.md_files import EQUILIBRATION
from schnet_calc.simulate.pimd_process import Progress, serving, watch

IDENTITY = "pimd.json"
CONTINUED = "continue.xml"
LOCK = "pimd.lock"
SAME_START = 1e-3
"""Å"""


@dataclass(frozen=True)
class PIMDRun:
    """Outcome of :func:`run_pimd`: standard i-PI output files in a folder."""

    directory: Path
    settings: PIMDSettings

    def table(self) -> dict[str, NDArray[np.float64]]:
        """Columns of ``simulation.out``: ps, eV, K, Å."""
        return read_properties(self.directory / f"{PREFIX}.out")

    def estimators(self) -> PathIntegralEstimators | None:
        """Averages after equilibration; None where there are too few rows for errors."""
        table = {k: v[int(EQUILIBRATION * len(v)) :] for k, v in self.table().items()}
        if len(table["step"]) < N_BLOCKS:
            return None
        n_atoms = len(self.centroids()[0])
        return path_integral_estimators(table, n_atoms, self.settings.temperature)

    def beads(self) -> list[list[ase.Atoms]]:
        """Frames of each bead, Å."""
        return [read_frames(path) for path in bead_files(self.directory)]

    def late_beads(self) -> list[list[ase.Atoms]]:
        """Frames of each bead without the first part of the run."""
        return [frames[int(EQUILIBRATION * len(frames)) :] for frames in self.beads()]

    def centroids(self) -> list[ase.Atoms]:
        """Frames of the centroids, Å."""
        return read_frames(self.directory / f"{PREFIX}.centroid.xyz")


def run_pimd(
    atoms: ase.Atoms,
    model: str | Path | Sequence[str | Path],
    settings: PIMDSettings,
    directory: str | Path,
    *,
    resume: bool = False,
    device: str = "auto",
    dtype: str | None = None,
    engine: str = "auto",
    progress: Progress | None = None,
) -> PIMDRun:
    """Run path-integral MD with i-PI, which leaves its standard output files in a folder.

    Parameters
    ----------
    atoms : Atoms
        Where all beads start; velocities are drawn for the temperature.
    model : str or path, or a list of them
        A model file, or the name of a shipped model; several make a committee.
    settings : PIMDSettings
        Beads, temperature, time, thermostat, transport.
    directory : path
        For input and output.
    resume : bool
        Go on with the run in the folder, from i-PI's last checkpoint or restart file: the result
        is that of an uninterrupted run. Begins anew where there is none.
    device, dtype, engine : str, optional
        As for the calculator.
    progress : callable, optional
        Called every now and then with the steps done and the last row of properties.

    Raises
    ------
    FileExistsError
        There is a run in the folder, and ``resume`` was not asked for.
    ValueError
        The run in the folder is another one.
    RuntimeError
        Another process is at work in the folder, or
        i-PI ended before its time: the end of its log is in the message.
    StructureError, WorkerError, ServerLostError
        From the client.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory, LOCK) as lock:
        models = absolute_names(model)
        found = _prepare(atoms, models, settings, directory, resume)
        if found is not None and found[1] >= settings.n_steps:
            return PIMDRun(directory, settings)
        spec = ModelSpec(models, directory / STRUCTURE, device, dtype, engine)
        start = _write_start(atoms, spec, settings, directory, found)
        with serving(spec, settings, directory, start, lock) as (server, client):
            watch(server, client, directory, progress or (lambda step, row: None))
    _check_complete(server, directory, settings)
    return PIMDRun(directory, settings)


def _write_start(
    atoms: ase.Atoms,
    spec: ModelSpec,
    settings: PIMDSettings,
    directory: Path,
    found: tuple[Path, int] | None,
) -> str:
    """The input to start i-PI with: a new one, or one from a checkpoint, after which nothing is kept."""
    options = {"device": spec.device, **({"dtype": spec.dtype} if spec.dtype else {})}
    options |= {"engine": spec.engine} if spec.engine != "auto" else {}
    if found is None:
        write_input(atoms, settings, directory, models=spec.models, options=options)
        return INPUT
    checkpoint, step = found
    cut_outputs(directory, step)
    forcefield = write_forcefield(settings, directory, models=spec.models, options=options)
    continue_from(checkpoint, settings.n_steps, directory / CONTINUED, forcefield)
    return CONTINUED


def _prepare(
    atoms: ase.Atoms, models: Sequence[str], settings: PIMDSettings, directory: Path, resume: bool
) -> tuple[Path, int] | None:
    """Where to go on from, if anywhere; refuses to touch another run."""
    identity = _identity(atoms, models, settings)
    saved = directory / IDENTITY
    if saved.exists():
        if not resume:
            raise FileExistsError(f"{directory} holds a run: resume it or choose another folder")
        old = json.loads(saved.read_text())
        _check_same_start(np.array(old.pop("start", [])), atoms, directory)
        for key, value in identity.items():
            if old.get(key) != value:
                raise ValueError(f"the run in {directory} has {key} = {old.get(key)!r}, not {value!r}")
        checkpoint = last_checkpoint(directory, settings.stride, settings.frame_stride)
        if checkpoint is None:
            for path in directory.glob(f"{PREFIX}.*"):
                path.unlink()
        return checkpoint
    if any(directory.glob(f"{PREFIX}.*")):
        raise FileExistsError(f"{directory} holds i-PI output of another run: choose another folder")
    start = i_pi_structure(atoms).positions.round(6).tolist()
    saved.write_text(json.dumps({**identity, "start": start}))
    return None


def _check_same_start(old: NDArray[np.float64], atoms: ase.Atoms, directory: Path) -> None:
    """A relaxation that is repeated ends within its tolerance of the first: that is the same start."""
    new = i_pi_structure(atoms).positions
    if old.shape == new.shape and (off := float(np.abs(old - new).max(initial=0.0))) > SAME_START:
        raise ValueError(f"the run in {directory} started from positions up to {off:.2g} Å off these")


def _identity(atoms: ase.Atoms, models: Sequence[str], settings: PIMDSettings) -> dict[str, Any]:
    """What has to be the same for a run to go on."""
    kept = {k: v for k, v in asdict(settings).items() if k not in ("time", "transport")}
    return {
        **kept,
        "atomic_numbers": atoms.numbers.tolist(),
        "masses": atoms.get_masses().tolist(),
        "pbc": atoms.pbc.tolist(),
        "cell": atoms.cell.array.round(6).tolist() if atoms.pbc.any() else None,
        "model": [load_potential(name).sha256 for name in models],
    }


def absolute_names(models: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """Return files with absolute paths, since i-PI runs in a folder of its own, and names as they are."""
    several = [models] if isinstance(models, (str, Path)) else models
    return tuple(str(Path(m).resolve()) if Path(m).is_file() else str(m) for m in several)


def _check_complete(server: Server, directory: Path, settings: PIMDSettings) -> None:
    checkpoint = last_checkpoint(directory, settings.stride, settings.frame_stride)
    done = checkpoint[1] if checkpoint else 0
    if done < settings.n_steps:
        raise RuntimeError(
            f"i-PI ended after {done} of {settings.n_steps} steps; its log in {server.log} ends with\n"
            + server.last_words()
        )
