"""What stages of the reproduction leave behind: plain values and figures, so that they are made once."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from schnet_calc import __version__, plots
from schnet_calc.errors import SchNetCalcError
from schnet_calc.folders import replace_json
from schnet_calc.modelfile import shipped_models
from schnet_calc.studies.kept import Progress


@dataclass
class Pieces:
    """Tables, figures and sentences of a stage, by the label of the table or figure that they repeat."""

    folder: Path
    """Where figures go."""
    found: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def table(self, label: str, header: list[str], rows: list[list[str]]) -> None:
        """Add a table.

        Parameters
        ----------
        label : str
            Such as Table 5.4.
        header : list of str
            Of the columns.
        rows : list of list of str
            Of the table.
        """
        self.found.setdefault(label, []).append({"header": header, "rows": rows})

    def figure(self, label: str, figure: Figure, name: str, caption: str) -> None:
        """Add a figure, and save it.

        Parameters
        ----------
        label, name, caption : str
            Such as Figure 5.4; of the file; below it.
        figure : Figure
            What is saved.
        """
        plots.save_figure(figure, self.folder / name)
        self.drawn(label, name, caption)

    def drawn(self, label: str, name: str, caption: str) -> None:
        """Add a figure that is in the folder already.

        Parameters
        ----------
        label, name, caption : str
            As for :meth:`figure`.
        """
        self.found.setdefault(label, []).append({"figure": name, "caption": caption})


class Stage(NamedTuple):
    """A part of the reproduction."""

    fill: Callable[[Pieces, Path | None, Progress], None]
    """Takes the pieces, the folder of the data and progress."""
    models: tuple[str, ...]
    """Shipped models whose results these are: with others, they are found again."""
    lasting: bool = True
    """Whether what was found is kept."""


def run_stage(
    name: str, stage: Stage, folder: Path, data: Path | None, progress: Progress
) -> dict[str, Any]:
    """Return what a stage finds, from its file if it is done; a stage that lacks data says so.

    Parameters
    ----------
    name : str
        Of the stage and its file.
    stage : Stage
        Fills :class:`Pieces`.
    folder : Path
        Of the page.
    data : Path, optional
        Folder of the data.
    progress : callable
        Called with a label, and how much of how much is done.

    Returns
    -------
    dict
        ``"found"``, as :attr:`Pieces.found`; and ``"missing"``, why there is nothing, or an empty text.
    """
    kept = folder / f"{name}.json"
    identity = {"version": __version__, "models": _digest(stage.models)}
    if kept.exists():
        old: dict[str, Any] = json.loads(kept.read_text())
        if old["identity"] == identity:
            return old
    pieces = Pieces(folder)
    try:
        stage.fill(pieces, data, progress)
    except (FileNotFoundError, ModuleNotFoundError, SchNetCalcError) as error:
        return {"found": pieces.found, "missing": str(error)}  # not kept: the data may come
    result: dict[str, Any] = {"identity": identity, "found": pieces.found, "missing": ""}
    if not stage.lasting:
        return result
    replace_json(kept, result)
    return result


def _digest(models: tuple[str, ...]) -> str:
    digest, known = hashlib.sha256(), shipped_models()
    for name in models:
        digest.update(known[name].read_bytes() if name in known else b"")
    return digest.hexdigest()
