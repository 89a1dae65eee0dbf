"""The application: a table of commands, each imported when it is asked for."""

from cyclopts import App

from schnet_calc import __version__

COMMANDS = (
    "simulate:relax",
    "simulate:neb",
    "simulate:md",
    "ipi:pimd",
    "modes:modes",
    "spectra:spectrum",
    "crystal:crystal",
    "insight:insight",
    "data:data",
    "training:train",
    "learn:learn",
    "models:evaluate",
    "models:info",
    "models:export",
    "models:domain",
    "importing:import_",
    "ipi:ipi",
    "ipi:ipi_input",
    "lammps:lammps",
    "report:report",
    "bench:bench",
    "c20:c20",
    "h2co:h2co",
    "reproduce:reproduce",
)
"""Where each command is: module below ``schnet_calc.cli``, and name."""

app = App(
    name="schnet-calc",
    help="Trained SchNet potentials: relaxation, normal modes, molecular dynamics, training.\n\n"
    "--traceback on any command shows where an error comes from.",
    help_format="plaintext",
    version=__version__,
    suppress_keyboard_interrupt=False,  # main() says what an interruption leaves behind
)
for place in COMMANDS:
    app.command(f"schnet_calc.cli.{place}")


def import_all() -> None:
    """Import all commands, as the list of them needs."""
    for name in app:
        app[name]
