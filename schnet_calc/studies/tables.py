"""Rows of the thesis's tables beside shipped models: QM9 (4.2), crystals (4.3), C20 (5.6)."""

import tomllib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from ase.units import Debye

from schnet_calc.analysis.errors import KCAL_MOL
from schnet_calc.data import Frames, Labels, read_frames
from schnet_calc.model import Model
from schnet_calc.modelfile import shipped_models
from schnet_calc.studies.configs import config_folder, data_file
from schnet_calc.studies.kept import Progress
from schnet_calc.training import Evaluation, RunConfig, evaluate
from schnet_calc.training.setup import new_split, read_data
from schnet_calc.training.workflow import train


class ThesisRow(NamedTuple):
    """A row of a published table."""

    table: str
    what: str
    model: str
    """Name of the shipped model."""
    configs: tuple[str, ...]
    """Its configurations, in the folder of examples: each goes on from the one before."""
    published: dict[str, float]
    """Mean absolute errors by ``"property, unit"``."""
    steps: int
    """That went into the model, those of models that it began from included."""
    tried: str = ""
    """What was tried to reach the published errors, and what it gave, in units of the table."""
    note: str = ""


UNITS = {
    "kcal/mol": 1.0 / KCAL_MOL,
    "kcal/mol/Å": 1.0 / KCAL_MOL,
    "eV": 1.0,
    "eV/atom": 1.0,
    "D": 1.0 / Debye,
    "Bohr³": 1.0,
    "Bohr²": 1.0,
    "cal/mol/K": 1.0,
}


def _rows() -> dict[str, tuple[ThesisRow, ...]]:
    tables = tomllib.loads((resources.files("schnet_calc.studies") / "thesis_rows.toml").read_text("utf-8"))
    return {
        name: tuple(ThesisRow(**{**row, "configs": tuple(row["configs"])}) for row in rows)
        for name, rows in tables.items()
    }


ROWS = _rows()
"""What is in the tables; for C20 the thesis's labels are PBE+vdW-TS, ours a surface fitted to it."""


@dataclass(frozen=True)
class Tested:
    """A row and what the shipped model reaches."""

    row: ThesisRow
    evaluation: Evaluation

    @property
    def found(self) -> dict[str, float]:
        """Mean absolute errors by the names of the published ones."""
        parts = {name: name.split(", ") for name in self.row.published}
        return {name: self.evaluation.errors[of].mae * UNITS[unit] for name, (of, unit) in parts.items()}

    def cells(self) -> list[list[str]]:
        """Return a line of words for each error, beside the thesis's and our steps; ``!`` is above it."""
        steps = f"{self.row.steps:,}"
        return [
            [self.row.what, name, f"{value:.3f}{'' if value <= theirs else ' !'}", f"{theirs:.3f}", steps]
            for (name, value), theirs in zip(self.found.items(), self.row.published.values(), strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "table": self.row.table,
            "row": self.row.what,
            "model": self.row.model,
            "steps": self.row.steps,
            "tried": self.row.tried,
            "published": self.row.published,
            "found": self.found,
            "n_test": self.evaluation.n_frames,
        }


def configuration(
    row: ThesisRow, data: str | Path | None, folder: str | Path | None = None, part: int = -1
) -> RunConfig:
    """Return the configuration that the model of a row was trained with, for data in another place maybe.

    Parameters
    ----------
    row : ThesisRow
        Of a table.
    data : path, optional
        The data.
    folder : path, optional
        Of the data that configurations name from the checkout.
    part : int
        Of several that follow each other; the last by default.
    """
    study, name = row.configs[part].split("/")
    config = RunConfig.from_toml(config_folder(study) / name)
    return config.changed({"file": str(data_file(config.data.file, folder) if data is None else data)})


def held_out(config: RunConfig, read: Callable[[str, Labels], Frames] = read_frames) -> Frames:
    """Return the frames that a run with this configuration leaves for the test.

    Parameters
    ----------
    config : RunConfig
        Of the run.
    read : callable
        Reads a file with its labels.
    """
    frames, data = read_data(config, read), config.data
    with warnings.catch_warnings():  # told when it was trained
        warnings.simplefilter("ignore", UserWarning)
        split = new_split(data, frames)
    return frames.select(split.test)


def evaluated_rows(
    table: str,
    data: str | Path | None = None,
    directory: str | Path | None = None,
    progress: Progress | None = None,
    folder: str | Path | None = None,
) -> list[Tested]:
    """Test the models of a table on the frames that their training left alone.

    Parameters
    ----------
    table : str
        One of :data:`ROWS`.
    data : path, optional
        The data, where they are not where the configuration says.
    directory : path, optional
        Train there, or go on, instead of testing the shipped models.
    progress : callable, optional
        Called with a row's name, frames or steps done, and their number.
    folder : path, optional
        Folder of the data that configurations name from the checkout; ``$SCHNET_CALC_DATA`` by default.

    Raises
    ------
    ValueError
        There is no such table.
    FileNotFoundError
        No data, or no shipped model.
    """
    if table not in ROWS:
        raise ValueError(f"the tables are {', '.join(ROWS)}, got {table!r}")
    found, read = [], lru_cache(maxsize=1)(read_frames)  # rows of one file follow each other
    for row in ROWS[table]:
        if directory is not None:
            found.append(Tested(row, _trained(row, data, Path(directory), folder)))
            continue
        if row.model not in shipped_models():
            continue
        frames = held_out(configuration(row, data, folder), read)
        show = None if progress is None else partial(_report, progress, row.what, len(frames))
        found.append(Tested(row, evaluate(Model(row.model, on_doubt="ignore"), frames, show)))
    return found


def _trained(
    row: ThesisRow, data: str | Path | None, directory: Path, folder: str | Path | None
) -> Evaluation:
    """Train all parts, or go on with them."""
    before: Path | None = None
    for part, name in enumerate(row.configs):
        config = configuration(row, data, folder, part)
        if before is not None:
            config = config.changed({"start_from": str(before / Path(config.training.start_from).name)})
        before = directory / row.model / (Path(name).stem if len(row.configs) > 1 else "")
        tested = train(config, before, resume=True)
    assert tested is not None
    return tested


def _report(progress: Progress, name: str, total: int, done: int) -> None:
    progress(name, done, total)
