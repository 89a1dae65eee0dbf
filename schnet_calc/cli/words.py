"""Errors in the words of the command: options where Python has arguments."""

import re
import sys
from collections.abc import Collection, Sequence

from schnet_calc.cli.app import app

RULE = re.compile(r"^(\w+)(?= (?:must|is one of|multiplies|needs)\b)")
"""What a message begins with that says what a value must be."""


def in_options(message: str, options: Collection[str]) -> str:
    """Return a message with ``energy_key`` written as ``--energy-key`` where the command has that option.

    Parameters
    ----------
    message : str
        Of an error.
    options : collection of str
        Of the command: ``--energy-key`` ...
    """
    names = {option.removeprefix("--").replace("-", "_"): option for option in options}
    message = RULE.sub(lambda found: names.get(found[1], found[1]), message)
    return re.sub(
        r"(?<![\w\-./'\"])[a-z]+(?:_[a-z]+)+(?![\w./(])", lambda w: names.get(w[0], w[0]), message
    )


def told(warning: str) -> str:
    """Return a warning in the options of the command that runs."""
    return in_options(warning, options_of(sys.argv[1:]))


def options_of(arguments: Sequence[str]) -> set[str]:
    """Return the options of the command that is called; none where there is no such command."""
    try:
        _, apps, _ = app.parse_commands(arguments)
        return {name for argument in apps[-1].assemble_argument_collection() for name in argument.names}
    except Exception:  # an error is being told already
        return set()
