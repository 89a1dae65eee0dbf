"""The command line: arguments in, tables out."""

import logging
import signal
import sys
from typing import Any

from rich.markup import escape
from safetensors import SafetensorError

from schnet_calc.cli import (
    bench,
    c20,
    c20_selection,
    crystal,
    data,
    h2co,
    importing,
    insight,
    ipi,
    isomers,
    learning_curve,
    models,
    qm9_insight,
    reproduce,
    simulate,
    spectra,
    thesis_tables,
)
from schnet_calc.cli.app import app
from schnet_calc.cli.console import SafeFormatter, err
from schnet_calc.errors import SchNetCalcError

__all__ = [
    "app",
    "bench",
    "c20",
    "c20_selection",
    "crystal",
    "data",
    "h2co",
    "importing",
    "insight",
    "ipi",
    "isomers",
    "learning_curve",
    "main",
    "models",
    "qm9_insight",
    "reproduce",
    "simulate",
    "spectra",
    "thesis_tables",
]

app.command(
    "schnet_calc.cli.training:train",
    help="Train a network; the folder gets checkpoints, metrics.csv, a learning curve and model.pt.",
)
app.command("schnet_calc.cli.learn:learn", help="Learn a potential from any ASE calculator.")
app.command(
    "schnet_calc.cli.lammps:lammps", help="Run a LAMMPS input file with a model, on any number of ranks."
)

EXPECTED = (
    SchNetCalcError,
    ValueError,
    OSError,
    MemoryError,
    FloatingPointError,
    RuntimeError,
    NotImplementedError,
    ModuleNotFoundError,
    SafetensorError,
)
"""Errors that speak for themselves: printed without a traceback, unless ``--traceback`` is given. Others, a
``TypeError`` or an ``AttributeError``, are faults of this package and come with theirs."""
TRACEBACK = "--traceback"


def main() -> None:
    """Entry point: expected errors become one line and exit code 1; SIGTERM and SIGHUP end like Ctrl-C."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    arguments = [a for a in sys.argv[1:] if a != TRACEBACK]
    try:
        app(arguments)
    except EXPECTED as error:
        if TRACEBACK in sys.argv:
            raise
        lines = [str(error), *getattr(error, "__notes__", [])]
        err.print(f"[red]error:[/red] {escape(chr(10).join(lines))}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("interrupted; what was written is complete, --resume goes on where there is one")
        sys.exit(130)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
