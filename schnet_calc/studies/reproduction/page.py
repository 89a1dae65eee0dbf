"""The page: every table and figure in its place, with what was found or the reason why nothing was."""

import csv
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from schnet_calc.report.page import Commands, Page, Part, Picture, Section, Table, Text, write_page
from schnet_calc.studies.kept import Progress
from schnet_calc.studies.reproduction.pieces import run_stage
from schnet_calc.studies.reproduction.stages import STAGES, trained_stages


class CatalogueEntry(NamedTuple):
    """A table or a figure: a line of ``catalogue.csv``."""

    label: str
    """``"Table 4.2"``; those of the paper begin with ``"Paper"``."""
    title: str
    note: str
    """What differs from the original."""
    reason: str
    """Why it is not repeated."""


def _read() -> tuple[CatalogueEntry, ...]:
    with (resources.files("schnet_calc.studies") / "catalogue.csv").open(encoding="utf-8") as stream:
        return tuple(CatalogueEntry(**row) for row in csv.DictReader(stream))


CATALOGUE = _read()
"""In the order of the page. Tables 2.1 to 5.6 and figures are the thesis's."""


def write_reproduction(
    directory: str | Path,
    command: str,
    *,
    data: str | Path | None = None,
    trained: str | Path = "runs",
    stages: Sequence[str] = tuple(STAGES),
    progress: Progress | None = None,
) -> Path:
    """Repeat what can be repeated with the shipped models, and write ``index.html``.

    Every stage leaves a file and figures, which the next call takes as they are.

    Parameters
    ----------
    directory : path
        Where to write.
    command : str
        As the reader would type it.
    data : path, optional
        Folder of the data, with ``md17``; ``$SCHNET_CALC_DATA`` by default.
    trained : path
        Folder with ``learning_curve`` and ``c20_selection``, where they were trained.
    stages : sequence of str
        Those to run; others' rows say that they weren't.
    progress : callable, optional
        Called with a label, and how much of how much is done.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    ValueError
        There is no such stage.
    """
    strange = [name for name in stages if name not in STAGES]
    if strange:
        raise ValueError(f"the stages are {', '.join(STAGES)}, got {strange[0]!r}")
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    place = None if data is None else Path(data)
    show = progress or (lambda *_: None)
    chosen = {name: STAGES[name] for name in stages} | trained_stages(Path(trained))
    found: dict[str, list[dict[str, Any]]] = {}
    missing = []
    for name, stage in chosen.items():
        result = run_stage(name, stage, folder, place, show)
        for label, pieces in result["found"].items():
            found[label] = [*found.get(label, []), *pieces]
        if result["missing"]:
            missing.append(f"{name.replace('_', ' ')}: {result['missing']}")
    return write_page(_page(found, missing, folder, command), folder / "index.html")


def _page(
    found: dict[str, list[dict[str, Any]]], missing: Sequence[str], folder: Path, command: str
) -> Page:
    """What was found by label of the table or figure, and the stages that could not run."""
    repeated = sum(entry.label in found for entry in CATALOGUE)
    return Page(
        title="The paper and the thesis, table by table",
        lead="Every table and figure of the SchNet paper and of the thesis, with what the shipped "
        "models give, or why there is nothing.",
        headline=[(str(repeated), f"of {len(CATALOGUE)} tables and figures have a row of ours")],
        sections=[
            *([Section("Not at hand", [Text(line) for line in missing])] if missing else []),
            *[_section(entry, found[entry.label], folder) for entry in CATALOGUE if entry.label in found],
            _others([entry for entry in CATALOGUE if entry.label not in found]),
            Section("To repeat it", [Commands([command])]),
        ],
    )


def _section(entry: CatalogueEntry, pieces: list[dict[str, Any]], folder: Path) -> Section:
    parts: list[Part] = [_part(piece, folder) for piece in pieces]
    if entry.note:
        parts.append(Text(entry.note, soft=True))
    return Section(f"{entry.label}: {entry.title}", parts)


def _others(entries: list[CatalogueEntry]) -> Section:
    """Tables and figures without a row of ours, and why."""
    missing = "not found this time"
    rows = [[entry.label, entry.title, entry.reason or missing] for entry in entries]
    return Section("Without a row of ours", [Table(rows, ("", "what it is", "why there is none"))])


def _part(piece: dict[str, Any], folder: Path) -> Part:
    if "rows" in piece:
        return Table(piece["rows"], piece["header"])
    svg = (folder / f"{piece['figure']}.svg").read_text(encoding="utf-8")
    return Picture(svg, piece["caption"], piece["caption"])
