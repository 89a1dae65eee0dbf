"""From a configuration to a tested model file, and from a checkpoint to a model file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from schnet_calc.analysis.errors import Errors
from schnet_calc.model import Model
from schnet_calc.modelfile import load_potential, save_model
from schnet_calc.nn import make_network, upgraded_weights
from schnet_calc.stages import tell
from schnet_calc.training.checkpoint import load_checkpoint, module_tensors
from schnet_calc.training.config import RunConfig
from schnet_calc.training.evaluation import Evaluation, evaluate
from schnet_calc.training.knowledge import add_grades, grades_of_model
from schnet_calc.training.loop import Run
from schnet_calc.training.setup import training_frames

FIRST = 10
"""Frames that were left out whose reasons stand in a model file."""


def export_model(
    checkpoint: str | Path,
    path: str | Path,
    command: str | None = None,
    test_errors: dict[str, Any] | None = None,
) -> None:
    """Write the averaged weights of a checkpoint as a model file.

    Parameters
    ----------
    checkpoint : path
        ``best.safetensors`` or ``checkpoint.safetensors``, or the folder that holds them: the best
        is taken then.
    path : path
        The model file to write.
    command : str, optional
        The command that trained it, for the metadata.
    test_errors : dict, optional
        Errors on frames never used, for the metadata.
    """
    checkpoint = Path(checkpoint)
    if checkpoint.is_dir():
        checkpoint = checkpoint / "best.safetensors"
    if not checkpoint.is_file():
        raise FileNotFoundError(f"no checkpoint {checkpoint}")
    tensors, state = load_checkpoint(checkpoint)
    config = RunConfig.from_dict(state["config"])
    network = make_network(config.model).to(getattr(torch, config.training.dtype))
    network.load_state_dict(upgraded_weights(module_tensors(tensors, "average")))
    references = {int(z): float(e) for z, e in state["references"].items()}
    training: dict[str, Any] = {
        "data": {name: _text(value) for name, value in state["info"].items()},
        "n_train": state["n_train"],
        "steps": state["step"],
        "seconds": round(state["seconds"]),
        "validation_errors": state["validation"],
        "distance_range_ang": [round(float(d), 4) for d in np.asarray(state["distance_range"])],
        "config": state["config"]["training"],
    }
    if "domain" in state:
        training["domain"] = state["domain"]
    if command:
        training["command"] = command
    if test_errors:
        training["test_errors"] = test_errors
    save_model(path, network, references, training, state.get("units"))


def _text(value: Any) -> str:
    """Return what is said of the data as a text; of frames left out how many, and the first."""
    if not isinstance(value, dict):
        return str(value)
    first = "; ".join(f"{frame}: {reason}" for frame, reason in [*value.items()][:FIRST])
    return f"{len(value)} frames, {first}{' ...' if len(value) > FIRST else ''}"


def train(
    config: RunConfig | str | Path,
    directory: str | Path,
    resume: bool = False,
    progress: Callable[[Run, Errors | None], None] | None = None,
    **changes: Any,
) -> Evaluation | None:
    """Train a network, export it to ``model.pt`` in a folder, and test it.

    Parameters
    ----------
    config : RunConfig or path
        The configuration, or a TOML file with it.
    directory : path
        Of the run.
    resume : bool
        Go on with the run in the folder, if there is one.
    progress : callable, optional
        As for :meth:`Run.run`.
    **changes
        Settings in place of the configuration's: ``steps=20000``, ``file="frames.extxyz"`` ...

    Returns
    -------
    Evaluation or None
        On the test frames; None if the split has none.

    Examples
    --------
    >>> from schnet_calc import train
    >>> test = train("ethanol.toml", "runs/ethanol", steps=20000)  # doctest: +SKIP
    """
    settings = config if isinstance(config, RunConfig) else RunConfig.from_toml(config)
    run = Run(settings.changed(changes), directory, resume)
    run.run(progress)
    return finish(run)


def finish(
    run: Run, command: str | None = None, progress: Callable[[int, int], None] | None = None
) -> Evaluation | None:
    """Export the best weights of a run to ``model.pt``, and test them on the frames never used.

    Parameters
    ----------
    run : Run
        A run that has validated at least once.
    command : str, optional
        The command that trained it, for the metadata.
    progress : callable, optional
        Called with the number of test frames done, and their number.

    Returns
    -------
    Evaluation or None
        On the test frames; None if the split has none.
    """
    path = run.directory / "model.pt"
    export_model(run.directory, path, command)
    train = run.frames.select(training_frames(run.config, run.split))
    unseen = run.frames.select(run.split.validation)
    grades, wholes = grades_of_model(
        load_potential(path), train, unseen, lambda done: tell("grades", done, len(train))
    )
    add_grades(path, grades, wholes)
    frames = run.frames.select(run.split.test)
    if not len(frames):
        return None
    model = Model(path, device=str(run.device), on_doubt="ignore")
    test = evaluate(model, frames, progress and (lambda done: progress(done, len(frames))))
    errors = {**test.errors.to_dict(), "n_frames": test.n_frames}
    export_model(run.directory, path, command, errors)
    add_grades(path, grades, wholes)
    return test
