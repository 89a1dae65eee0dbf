"""Sphinx: the documentation site."""

import io
import os
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from rich.console import Console

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
]
html_theme = "furo"
html_title = "schnet_calc"
html_show_copyright = False
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

_execute = NotebookClient.__init__


def _with_whole_streams(self: NotebookClient, *args: Any, **kwargs: Any) -> None:
    """Keep what a command prints together: it comes in pieces, with progress, which isn't shown, in between."""
    _execute(self, *args, **kwargs, coalesce_streams=True)


NotebookClient.__init__ = _with_whole_streams  # neither MyST-NB nor jupyter-cache passes the option on

# The cards lie beside the models; the site shows them as pages.
_here = Path(__file__).parent
(_here / "cards").mkdir(exist_ok=True)
for _card in (_here.parent / "models").glob("*.md"):
    _text = _card.read_text().replace("](../", "](https://github.com/schnet-calc/schnet_calc/tree/main/")
    (_here / "cards" / _card.name).write_text(_text)


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
