"""Path-integral molecular dynamics: i-PI and its client started, watched, stopped and continued."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase

from schnet_calc.folders import locked
from schnet_calc.ipi import ModelSpec
from schnet_calc.ipi.input import INPUT, STRUCTURE, PIMDSettings, write_forcefield, write_input
from schnet_calc.ipi.outputs import PREFIX, continue_from, cut_outputs, last_checkpoint
from schnet_calc.ipi.server import Server
from schnet_calc.modelfile import load_potential
from schnet_calc.simulate.pimd_folder import IDENTITY, PIMDRun, claim, identity_of
from schnet_calc.simulate.pimd_process import Progress, serving, watch

__all__ = ["IDENTITY", "PIMDRun", "absolute_names", "run_pimd"]

CONTINUED = "continue.xml"
LOCK = "pimd.lock"
MODEL_SETTINGS = ("device", "dtype", "engine", "on_doubt", "max_forces_std")
UNSAID = {"engine": "auto", "on_doubt": "warn"}
"""What i-PI's input needs not say."""


def run_pimd(
    atoms: ase.Atoms,
    model: str | Path | Sequence[str | Path],
    settings: PIMDSettings,
    directory: str | Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    **model_settings: Any,
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
    progress : callable, optional
        Called every now and then with the steps done and the last row of properties.
    **model_settings
        ``device``, ``dtype``, ``engine``, ``on_doubt`` and ``max_forces_std`` as for
        :class:`~schnet_calc.model.Model`.

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
        found = _go_on_from(atoms, models, settings, directory, resume)
        if found is not None and found[1] >= settings.n_steps:
            return PIMDRun(directory, settings)
        spec = ModelSpec(models, directory / STRUCTURE, **_with_absolute_file(model_settings))
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
    said = {name: getattr(spec, name) for name in MODEL_SETTINGS}
    options = {name: str(value) for name, value in said.items() if value not in (None, UNSAID.get(name))}
    if found is None:
        write_input(atoms, settings, directory, models=spec.models, options=options)
        return INPUT
    checkpoint, step = found
    cut_outputs(directory, step)
    forcefield = write_forcefield(settings, directory, models=spec.models, options=options)
    continue_from(checkpoint, settings.n_steps, directory / CONTINUED, forcefield)
    return CONTINUED


def _with_absolute_file(model_settings: dict[str, Any]) -> dict[str, Any]:
    """The same, where doubtful structures go into a file, from i-PI's folder too."""
    on_doubt = str(model_settings.get("on_doubt", "warn"))
    named = Path(on_doubt).suffix in (".xyz", ".extxyz")
    return {**model_settings, "on_doubt": str(Path(on_doubt).resolve()) if named else on_doubt}


def _go_on_from(
    atoms: ase.Atoms, models: Sequence[str], settings: PIMDSettings, directory: Path, resume: bool
) -> tuple[Path, int] | None:
    """The checkpoint to go on from and its step, if there is one; refuses to touch another run."""
    hashes = [load_potential(name).sha256 for name in models]
    if not claim(directory, atoms, identity_of(atoms, hashes, settings), resume):
        return None
    checkpoint = last_checkpoint(directory, settings.stride, settings.frame_stride)
    if checkpoint is None:
        for path in directory.glob(f"{PREFIX}.*"):
            path.unlink()
    return checkpoint


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
