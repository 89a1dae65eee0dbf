"""The application: a table of commands, each imported when it is asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cyclopts import App
from cyclopts.help import DefaultFormatter

from schnet_calc import __version__

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel

COMMANDS = (
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


class FoldedHelp(DefaultFormatter):
    """Help whose texts are paragraphs: the line breaks of docstrings are those of the source, not of a terminal."""

    def __call__(self, console: Any, options: Any, panel: "HelpPanel") -> None:
        """Print a panel."""
        for entry in panel.entries:
            text = getattr(entry.description, "primary_renderable", None)
            if text is not None and hasattr(text, "plain"):
                text.plain = " ".join(text.plain.split())
        super().__call__(console, options, panel)


app = App(
    name="schnet-calc",
    help="Trained SchNet potentials: relaxation, normal modes, molecular dynamics, training.\n\n"
    "--traceback on any command shows where an error comes from.",
    help_format="plaintext",
    help_formatter=FoldedHelp(),
    version=__version__,
    suppress_keyboard_interrupt=False,  # main() says what an interruption leaves behind
)
for place in COMMANDS:
    app.command(f"schnet_calc.{place}")


def import_listed(arguments: Sequence[str]) -> None:
    """Import the commands of a list that is asked for: their texts stand in it."""
    names, apps, rest = app.parse_commands(arguments)
    helped = names[-1:] in (("--help",), ("-h",))
    if helped or not rest:
        listed = apps[-2 if helped else -1]
        for name in listed:
            listed[name]
