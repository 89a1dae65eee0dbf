"""Trainings of a study, each done once: what it reached is kept in its folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schnet_calc.folders import replace_json
from schnet_calc.training import Evaluation, RunConfig
from schnet_calc.training.workflow import train

POINT = "point.json"

Progress = Callable[[str, int, int], None]
"""Called with a label, how much is done, and how much there is."""


def kept_point(
    config: RunConfig,
    folder: Path,
    describe: Callable[[Evaluation], dict[str, Any]],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train and test, or go on with the run in the folder; a run that is done is only read.

    Parameters
    ----------
    config : RunConfig
        Of the training.
    folder : Path
        Gets the run, and ``point.json`` when it is done.
    describe : callable
        Takes the evaluation on the test frames; its plain values are kept, ``"steps"`` among them.
    progress : callable, optional
        Told how it goes.
    """
    kept = folder / POINT
    if kept.exists():
        point: dict[str, Any] = json.loads(kept.read_text())
        if point["steps"] == config.training.steps:
            return point
    tested = train(config, folder, resume=True, progress=steps_of(progress, folder.name))
    assert tested is not None
    point = describe(tested)
    replace_json(kept, point)
    return point


def read_points(directory: str | Path) -> list[dict[str, Any]]:
    """Return the trainings in a folder that are done, in the order of their names."""
    return [json.loads(path.read_text()) for path in sorted(Path(directory).glob(f"*/{POINT}"))]


def steps_of(progress: Progress | None, label: str) -> Callable[[Any, Any], None] | None:
    """Return what a training takes as its progress."""
    if progress is None:
        return None
    return lambda run, _: progress(label, run.step, run.config.training.steps)
