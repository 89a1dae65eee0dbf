"""What a page is made of, and how it becomes HTML; knows nothing of what it shows."""

import base64
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure as Drawing

from schnet_calc import __version__, plots
from schnet_calc.analysis.bonding import clusters
from schnet_calc.folders import replace_text

PACKAGES = ("torch", "ase", "numpy", "numba", "ipi")


@dataclass(frozen=True)
class Picture:
    """A figure as SVG: an image of its own, or part of the page so that scripts can reach into it."""

    kind: ClassVar[str] = "picture"
    svg: str
    alt: str
    caption: str
    inline: bool = False

    @property
    def source(self) -> str:
        """As a data address."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()

    @property
    def markup(self) -> Markup:
        """The SVG element alone; drawn by matplotlib, so it needs no escaping."""
        return Markup(self.svg[self.svg.index("<svg") :])


@dataclass(frozen=True)
class Table:
    """Rows of text; folded away behind a summary if it has one."""

    kind: ClassVar[str] = "table"
    rows: Sequence[Sequence[str]]
    header: Sequence[str] = ()
    summary: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    soft: bool = False


@dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    kind: ClassVar[str] = "commands"
    lines: Sequence[str]


@dataclass(frozen=True)
class Structure3D:
    """A molecule to turn around, bonds coloured and labelled by class; a picture where that can't be."""

    kind: ClassVar[str] = "structure"
    picture: Picture
    classes: Sequence[tuple[str, str]]
    """Colour and label of each class of bonds."""


DEGENERATE = 0.5
"""cm⁻¹"""


@dataclass(frozen=True)
class Modes3D:
    """A molecule that vibrates, with a button for each mode; degenerate ones stand together."""

    kind: ClassVar[str] = "modes"
    frequencies: Sequence[float]
    """cm⁻¹, ascending"""

    @property
    def groups(self) -> list[list[tuple[int, str]]]:
        """Number and text of each button, by groups of equal frequencies."""
        found = clusters(np.asarray(self.frequencies), DEGENERATE)
        return [[(int(k), f"{self.frequencies[k]:.0f}") for k in group.members] for group in found]


Part = Picture | Table | Text | Commands | Structure3D | Modes3D


@dataclass(frozen=True)
class Section:
    """A heading and what follows it."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """Everything on a page."""

    title: str
    lead: str
    sections: Sequence[Section]
    headline: Sequence[tuple[str, str]] = ()
    """Values in large type and what they are."""
    molecule: dict[str, Any] = field(default_factory=dict)
    """For the scripts: what :func:`schnet_calc.report.molecule.molecule_data` gives."""


def write_page(page: Page, path: Path) -> Path:
    """Write a page as one HTML file."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("schnet_calc"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates = resources.files("schnet_calc") / "templates"
    content = environment.get_template("page.html").render(
        page=page,
        style=Markup((templates / "page.css").read_text(encoding="utf-8")),
        script=Markup((templates / "page.js").read_text(encoding="utf-8")),
        library=Markup((templates / "vendor" / "3Dmol-min.js").read_text(encoding="utf-8")),
        # In a script element, "</" would end it early, and "<!--" hide what follows.
        molecule=Markup(json.dumps(page.molecule).replace("<", "\\u003c")),
        versions=versions(),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
    replace_text(path, content)
    return path


def save_picture(figure: Drawing, stem: Path, alt: str, caption: str, inline: bool = False) -> Picture:
    """Save a figure as PNG and SVG, and take the SVG for the page.

    Parameters
    ----------
    figure : Figure
        What is saved.
    stem : Path
        Of both files.
    alt, caption : str
        What it shows, in words; what stands below it.
    inline : bool
        Whether it becomes part of the page, so that scripts can reach into it.
    """
    _, svg = plots.save_figure(figure, stem)
    return Picture(svg.read_text(encoding="utf-8"), alt, caption, inline)


def versions() -> str:
    """Python and package versions, in a line."""
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return f"schnet_calc {__version__}, Python {platform.python_version()}, {packages}"
