"""Sphinx: the documentation site."""

import io
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from rich.console import Console
from sphinx.application import Sphinx
from sphinx.ext import napoleon

import schnet_calc
from schnet_calc.cli import app

project = "schnet_calc"
author = "The schnet_calc developers"
release = schnet_calc.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
html_theme = "furo"
html_title = "schnet_calc"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
# What commands print in the tutorials; one thread, since two tutorials may share a machine with tests.
os.environ |= {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "88", "OMP_NUM_THREADS": "1"}
# Tutorials are executed, each in a folder of its own; one that fails fails the build.
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]
# Types in docstrings are words for people ("array", "sequence of Atoms"), not names to look up.
nitpick_ignore_regex = [
    ("py:class", r".*"),
    ("py:data", r"[A-Z_]+"),
    ("py:func", r".*"),
    ("py:meth", r".*"),
    ("py:exc", r".*"),
]
exclude_patterns = ["_build", ".jupyter_cache", "jupyter_execute"]

_sections = napoleon._process_docstring


def _sections_but_of_attributes(app: Sphinx, what: str, *rest: Any) -> None:
    """Leave docstrings of attributes as they are: words before a first colon would become a type."""
    if what != "attribute":
        _sections(app, what, *rest)


napoleon._process_docstring = _sections_but_of_attributes
_execute = NotebookClient.__init__


def _with_whole_streams(self: NotebookClient, *args: Any, **kwargs: Any) -> None:
    """Keep what a command prints together: it comes in pieces, with progress, which isn't shown, in between."""
    _execute(self, *args, **kwargs, coalesce_streams=True)


NotebookClient.__init__ = _with_whole_streams  # neither MyST-NB nor jupyter-cache passes the option on

# Links in the sources are those that GitHub follows; on the site other files of the repository lead there.
REPOSITORY = "https://github.com/schnet-calc/schnet_calc/blob/main/"
COPIES = {
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "schnet_calc/kernels/README.md": "arithmetic.md",
}
_here = Path(__file__).parent


def _page(path: str) -> str | None:
    """Where the site has a file of the repository."""
    folder, _, name = path.rpartition("/")
    if folder == "models" and name.endswith(".md"):
        return f"cards/{name}"
    return COPIES.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)


def _with_links(text: str, source: str, page: str) -> str:
    """A file of the repository with the links that it has as a page of the site."""

    def link(match: re.Match[str]) -> str:
        path, mark, anchor = match[1].partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        found = _page(path)
        where = (
            REPOSITORY + path if found is None else posixpath.relpath(found, posixpath.dirname(page) or ".")
        )
        return f"]({where}{mark}{anchor})"

    return re.sub(r"\]\((?!https?:|#)([^)\s]+)\)", link, text)


def _with_cards(text: str) -> str:
    """The front page: every heading with a list of links becomes a card, and a part of the menu."""
    text = text.replace(
        "- [Python]", "- [Commands](commands.md): every option\n- [Python]"
    )  # which GitHub lacks
    parts = re.split(r"^## (.+)\n\n((?:- .+\n)+)", text, flags=re.MULTILINE)
    cards, menus = [], []
    for title, links in zip(parts[1::3], parts[2::3], strict=True):
        cards.append(f":::{{grid-item-card}} {title}\n{links}:::\n")
        pages = re.findall(r"\]\(([^)#]+)\.md\)", links)
        menus.append(f"```{{toctree}}\n:caption: {title}\n:hidden:\n\n" + "\n".join(pages) + "\n```\n")
    grid = "::::{grid} 1 2 2 2\n:gutter: 2\n" + "".join(cards) + "::::\n"
    return parts[0] + grid + "".join(parts[3::3]) + "\n" + "\n".join(menus)


def _read(_app: Sphinx, name: str, source: list[str]) -> None:
    if not (name.startswith("cards/") or f"{name}.md" in {*COPIES.values(), "commands.md"}):
        source[0] = _with_links(source[0], f"docs/{name}.md", f"{name}.md")
    if name == "index":
        source[0] = _with_cards(source[0])
    if name == "models":
        source[0] += "\n```{toctree}\n:caption: Cards\n:glob:\n:hidden:\n\ncards/*\n```\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _read)


# The cards lie beside the models, what concerns the repository at its top; the site shows them as pages.
(_here / "cards").mkdir(exist_ok=True)
_copied = COPIES | {
    f"models/{card.name}": f"cards/{card.name}" for card in (_here.parent / "models").glob("*.md")
}
for _source, _target in _copied.items():
    (_here / _target).write_text(_with_links((_here.parent / _source).read_text(), _source, _target))


def _commands() -> str:
    """The help of every command as a page."""
    pages = ["# Commands\n"]
    names = [name for name in app if not name.startswith("-")]
    paths = [[name] for name in names]
    paths += [["reproduce", name] for name in app["reproduce"] if not name.startswith("-")]
    for path in sorted(paths):
        stream = io.StringIO()
        app.help_print(path, console=Console(file=stream, width=88, no_color=True))
        pages.append(f"## {' '.join(path)}\n\n```text\n{stream.getvalue().rstrip()}\n```\n")
    return "\n".join(pages)


(_here / "commands.md").write_text(_commands())
