"""From a configuration to a tested model file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from schnet_calc.analysis.errors import Errors
from schnet_calc.model import Model
from schnet_calc.modelfile import load_potential
from schnet_calc.stages import tell
from schnet_calc.training.config import RunConfig
from schnet_calc.training.evaluation import Evaluation, evaluate
from schnet_calc.training.export import export_model
from schnet_calc.training.knowledge import add_grades, grades_of_model
from schnet_calc.training.loop import Run
from schnet_calc.training.setup import training_frames


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
