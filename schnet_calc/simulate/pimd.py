"""Path-integral molecular dynamics: i-PI and its client started, watched, stopped and continued."""

import contextlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis.path_integrals import (
    N_BLOCKS,
    PathIntegralEstimators,
    path_integral_estimators,
)
from schnet_calc.folders import locked
from schnet_calc.ipi import Address, Client, ModelSpec, ProcessWorker
from schnet_calc.ipi.input import (
    INPUT,
    STRUCTURE,
    PIMDSettings,
    i_pi_structure,
    write_forcefield,
    write_input,
)
from schnet_calc.ipi.outputs import (
    CHECKPOINT,
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

IDENTITY = "pimd.json"
CONTINUED = "continue.xml"
LOCK = "pimd.lock"
SOCKETS = "schnet_ipi_"
"""Begins the names of folders with sockets; the process that made one follows."""
FAILED = "failed_structure.xyz"
KEPT_CHECKPOINTS = 3
FAREWELL = 1.0
"""Seconds for a client to hear EXIT when i-PI has ended."""
SAME_START = 1e-3
"""Å"""
POLL = 0.2
"""Seconds between looks at a running simulation."""

Progress = Callable[[int, dict[str, float]], None]


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
        with _serving(spec, settings, directory, start, lock) as (server, client):
            _watch(server, client, directory, progress or (lambda step, row: None))
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


@contextlib.contextmanager
def _serving(
    spec: ModelSpec, settings: PIMDSettings, directory: Path, start: str, lock: int
) -> Iterator[tuple[Server, "_ClientThread | None"]]:
    """i-PI, and a client unless i-PI evaluates itself; both are stopped in order, come what may."""
    _sweep_sockets()
    with tempfile.TemporaryDirectory(prefix=f"{SOCKETS}{os.getpid()}_") as sockets:
        server = Server(directory, start, prefix=f"{sockets}/", keep_open=[lock])
        client = None
        try:
            if settings.transport == "socket":
                client = _ClientThread(spec, directory, Address(unix="schnet", prefix=f"{sockets}/"))
            yield server, client
        finally:
            server.stop()
            if client is not None:
                client.finish()


def _sweep_sockets() -> None:
    """Remove the folders of sockets that killed processes have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SOCKETS}*_*"):
        owner = folder.name.removeprefix(SOCKETS).partition("_")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


class _ClientThread(threading.Thread):
    """The client's loop; the model itself is in a worker process."""

    def __init__(self, spec: ModelSpec, directory: Path, address: Address) -> None:
        super().__init__(daemon=True)
        atoms = ase.io.read(spec.structure)
        self.client = Client(ProcessWorker(spec), atoms, address, failed=directory / FAILED)
        self.error: Exception | None = None
        self.start()

    def finish(self) -> None:
        """End it, once i-PI is gone: there is nobody to wait for."""
        self.join(FAREWELL)
        self.client.stop()
        self.join()

    def run(self) -> None:
        """See :class:`threading.Thread`."""
        try:
            self.client.run()
        except Exception as error:
            self.error = error


def _watch(server: Server, client: _ClientThread | None, directory: Path, report: Progress) -> None:
    """Report and tidy up until i-PI ends, or the client does with an error."""
    shown = -1.0
    ended = False
    while not ended:
        ended = server.wait(POLL)
        if client is not None and client.error is not None:
            step = _last_row(directory).get("step")
            if step is not None:
                client.error.add_note(f"i-PI's last row of output is that of step {step:.0f}")
            raise client.error
        _prune_checkpoints(directory)
        row = _last_row(directory)
        if row and row["step"] != shown:
            shown = row["step"]
            report(int(shown), row)


def _prune_checkpoints(directory: Path) -> None:
    """Old checkpoints go; the latest may just be written, so a few stay."""
    numbered = sorted(directory.glob(f"{CHECKPOINT}_*"), key=lambda p: int(p.name.rsplit("_", 1)[1]))
    for path in numbered[:-KEPT_CHECKPOINTS]:
        path.unlink()


def _last_row(directory: Path) -> dict[str, float]:
    """The last whole row of properties, read from the end of the file."""
    path = directory / f"{PREFIX}.out"
    if not path.exists():
        return {}
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4096))
        lines = stream.read().decode().split("\n")[:-1]
    names = ("step", "time", "conserved", "temperature", "potential")
    values = lines[-1].split() if lines else []
    if len(values) < len(names) or values[0].startswith("#"):
        return {}
    return dict(zip(names, (float(v) for v in values), strict=False))


def _check_complete(server: Server, directory: Path, settings: PIMDSettings) -> None:
    checkpoint = last_checkpoint(directory, settings.stride, settings.frame_stride)
    done = checkpoint[1] if checkpoint else 0
    if done < settings.n_steps:
        raise RuntimeError(
            f"i-PI ended after {done} of {settings.n_steps} steps; its log in {server.log} ends with\n"
            + server.last_words()
        )
