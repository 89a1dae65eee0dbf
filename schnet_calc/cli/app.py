"""The application: a table of commands, each imported when it is asked for."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App
from cyclopts.help import DefaultFormatter

from schnet_calc import __version__

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel

COMMANDS = (
    "cli.energy:energy",
    "cli.simulate:relax",
    "cli.simulate:neb",
    "cli.simulate:md",
    "cli.pimd:pimd",
    "cli.modes:modes",
    "cli.spectra:spectrum",
    "cli.crystal:crystal",
    "cli.insight:insight",
    "cli.data:data",
    "cli.training:train",
    "cli.learn:learn",
    "cli.models:evaluate",
    "cli.models:info",
    "cli.models:export",
    "cli.models:domain",
    "cli.importing:import_",
    "cli.ipi:ipi",
    "cli.ipi:ipi_input",
    "cli.lammps:lammps",
    "cli.warm_up:warm_up",
    "cli.report:report",
    "studies.commands.bench:bench",
    "studies.commands.c20:c20",
    "studies.commands.h2co:h2co",
    "studies.commands.reproduce:reproduce",
)
"""Where each command is: module of the package, and name."""
SAID = {
    "cli.training:train": {
        "help": "Train a network; the folder gets checkpoints, metrics.csv, a learning curve and model.pt.",
        "usage": "Usage: schnet-calc train [OPTIONS] [CONFIG]",
    }
}
"""What isn't asked of a command, since its eighty options take long to look through."""


class FoldedHelp(DefaultFormatter):
    """Help whose texts are paragraphs: the line breaks of docstrings are those of the source, not of a terminal."""

    def __call__(self, console: Any, options: Any, panel: "HelpPanel") -> None:
        """Print a panel; a default that is empty says nothing, and lists are shown as they are typed."""
        for entry in panel.entries:
            _fold(entry.description)
        shown = [entry.copy(default=_shown(entry.default)) for entry in panel.entries]
        super().__call__(console, options, panel.copy(entries=shown))

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        """Print what stands above the panels."""
        _fold(description)
        super().render_description(console, options, description)


def _fold(text: Any) -> None:
    """Make each paragraph one line."""
    found: Any = getattr(text, "primary_renderable", None)
    if hasattr(found, "plain"):
        paragraphs = [" ".join(part.split()) for part in found.plain.strip().split("\n\n")]
        found.plain = "\n\n".join(paragraphs) + "\n" * found.plain.endswith("\n")


def _shown(default: str | None) -> str | None:
    """Return a default as it is typed, from Python's way to write it; none where it is empty."""
    if default is None or not default.startswith(("(", '"')):
        return default
    value = ast.literal_eval(default)
    return " ".join(map(str, value)) if value else None


def _app(said: dict[str, dict[str, str]]) -> App:
    """The application, with what is said of commands instead of asked of them."""
    made = App(
        name="schnet-calc",
        help="Trained SchNet potentials: relaxation, normal modes, molecular dynamics, training.\n\n"
        "--traceback on any command shows where an error comes from.",
        help_format="plaintext",
        help_formatter=FoldedHelp(),
        version=__version__,
        suppress_keyboard_interrupt=False,  # main() says what an interruption leaves behind
    )
    for place in COMMANDS:
        made.command(f"schnet_calc.{place}", **said.get(place, {}))
    return made


app = _app(SAID)
FIRST_LINE = r'^(?:def {0}\(.*?\) -> None:\n    """|{0} = App\(.*?help=")([^"\n]*)'
"""Of what a command says of itself, where its module isn't imported."""


def _list_commands() -> None:
    """Print the list of commands with the first line of each, read from its file: imports take most of a second."""
    said = dict(SAID)
    for place in COMMANDS:
        module, _, name = place.partition(":")
        text = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py").read_text()
        if found := re.search(FIRST_LINE.format(name), text, re.DOTALL | re.MULTILINE):
            said.setdefault(place, {"help": found[1]})
    _app(said).help_print([])


def show_help(arguments: Sequence[str]) -> bool:
    """Print the help that arguments ask for, if they do; sooner than a call that looks for values as well.

    Commands of a shorter list are imported, since their texts stand in it.
    """
    names, apps, rest = app.parse_commands(arguments)
    helped = names[-1:] in (("--help",), ("-h",))
    if not helped and rest:
        return False
    if not arguments or (len(names) == 1 and helped):
        _list_commands()
        return True
    shown = apps[-2 if helped else -1]
    for name in shown:
        if name not in {place.partition(":")[2] for place in SAID}:
            shown[name]
    if helped:
        app.help_print(arguments[: arguments.index(names[-1])])
    return helped
