"""The command line: arguments in, tables out."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape

from schnet_calc.cli.app import app, show_help
from schnet_calc.cli.console import ConsoleHandler, err, start_waiting, stop_waiting
from schnet_calc.errors import SchNetCalcError

__all__ = ["app", "main"]

EXPECTED = (
    SchNetCalcError,
    ValueError,
    OSError,
    MemoryError,
    FloatingPointError,
    RuntimeError,
    NotImplementedError,
    ModuleNotFoundError,
)
"""Errors that speak for themselves: printed without a traceback, unless ``--traceback`` is given. Others, a
``TypeError`` or an ``AttributeError``, are faults of this package and come with theirs."""
TRACEBACK = "--traceback"


def main() -> None:
    """Entry point: expected errors become one line and exit code 1; SIGTERM and SIGHUP end like Ctrl-C."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    with _logging():
        _run()


@contextmanager
def _logging() -> Iterator[None]:
    """Warnings of the library go to the terminal, and announcements of compilation without a word of warning."""
    forms = {"": "%(levelname)s: %(message)s", "schnet_calc.compiling": "%(message)s"}
    handlers = {name: ConsoleHandler() for name in forms}
    for name, handler in handlers.items():
        handler.setFormatter(logging.Formatter(forms[name]))
        logging.getLogger(name).addHandler(handler)
    logging.getLogger("schnet_calc.compiling").propagate = False
    try:
        yield
    finally:
        for name, handler in handlers.items():
            logging.getLogger(name).removeHandler(handler)
        logging.getLogger("schnet_calc.compiling").propagate = True


def _run() -> None:
    """The command in ``sys.argv``; expected errors become one line."""
    arguments = [a for a in sys.argv[1:] if a != TRACEBACK]
    try:
        if not show_help(arguments):
            if arguments:
                start_waiting()
            app(arguments, error_console=err)
    except Exception as error:
        if TRACEBACK in sys.argv or not isinstance(error, _expected()):
            raise
        from schnet_calc.cli.words import in_options, options_of

        lines = [in_options(str(error), options_of(arguments)), *getattr(error, "__notes__", [])]
        err.print(f"[red]error:[/red] {escape(chr(10).join(lines))}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("interrupted; what was written is complete, --resume goes on where there is one")
        sys.exit(130)
    finally:
        stop_waiting()


def _expected() -> tuple[type[Exception], ...]:
    """:data:`EXPECTED`, and what reading a damaged file of weights raises, if any was read."""
    found = getattr(sys.modules.get("safetensors"), "SafetensorError", None)
    return EXPECTED if found is None else (*EXPECTED, found)
