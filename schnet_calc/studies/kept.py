"""Trainings of a study, each done once: what it reached is kept in its folder."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from schnet_calc.analysis.errors import Errors
from schnet_calc.folders import replace_json
from schnet_calc.training import Evaluation, RunConfig
from schnet_calc.training.workflow import train

POINT = "point.json"

Progress = Callable[[str, int, int], None]
"""Called with a label, how much is done, and how much there is."""


class MeanErrors(NamedTuple):
    """Mean absolute errors of energies and forces, as the thesis and the paper have them."""

    energy: float
    """kcal/mol"""
    force: float
    """kcal/mol/Å"""

    @classmethod
    def of(cls, errors: Errors) -> "MeanErrors":
        """Take them from errors of both."""
        found = errors.to_dict()
        return cls(found["energy_mae_kcal_mol"], found["force_mae_kcal_mol_ang"])


@dataclass(frozen=True)
class KeptPoint(ABC):
    """What a training reached, as plain values."""

    @classmethod
    @abstractmethod
    def of(cls, config: RunConfig, tested: Evaluation) -> Self:
        """Take what counts from an evaluation on the test frames."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def read_all(cls, directory: str | Path) -> list[Self]:
        """Return the trainings in a folder that are done, in the order of their names."""
        return [cls(**json.loads(path.read_text())) for path in sorted(Path(directory).glob(f"*/{POINT}"))]

    @classmethod
    def all_reached(
        cls, configs: Mapping[str, RunConfig], directory: str | Path, progress: Progress | None = None
    ) -> list[Self]:
        """Train and test each configuration in the folder of its name, with progress as for :meth:`reached`."""
        return [cls.reached(config, Path(directory) / name, progress) for name, config in configs.items()]

    @classmethod
    def reached(cls, config: RunConfig, folder: Path, progress: Progress | None = None) -> Self:
        """Train and test, or go on with the run in the folder; a run that is done is only read.

        Parameters
        ----------
        config : RunConfig
            Of the training.
        folder : Path
            Gets the run, and ``point.json`` when it is done.
        progress : callable, optional
            Told how it goes.
        """
        kept = folder / POINT
        if kept.exists():
            point: dict[str, Any] = json.loads(kept.read_text())
            if point["steps"] == config.training.steps:
                return cls(**point)
        tested = train(config, folder, resume=True, progress=steps_of(progress, folder.name))
        assert tested is not None
        found = cls.of(config, tested)
        replace_json(kept, found.to_dict())
        return found


def steps_of(progress: Progress | None, label: str) -> Callable[[Any, Any], None] | None:
    """Return what a training takes as its progress."""
    if progress is None:
        return None
    return lambda run, _: progress(label, run.step, run.config.training.steps)
