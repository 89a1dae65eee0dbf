"""The errors of this package; what else it raises are Python's own for wrong arguments and missing files."""

import difflib
import unicodedata
from collections.abc import Iterable

CONTROLS = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Categories of characters that steer a terminal, or hide or turn around what stands beside them."""


def printable(text: str) -> str:
    r"""Return a text whose control characters, line ends and tabs apart, are written as escapes.

    What a file says may else reach the terminal as commands.

    >>> printable("\x1b[31mred")
    '\\x1b[31mred'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode()
        if unicodedata.category(c) in CONTROLS and c not in "\n\t"
        else c
        for c in text
    )


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the question whether a known name was meant, with a space before it; nothing if none is alike.

    >>> suggestion("c02", ["c20", "water"])
    " Did you mean 'c20'?"
    """
    alike = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f" Did you mean {alike[0]!r}?" if alike else ""


class SchNetCalcError(Exception):
    """Base of all errors that this package defines."""


class ModelFileError(SchNetCalcError, ValueError):
    """A file that is not a usable model; the message says what is missing or wrong."""

    def __str__(self) -> str:
        """Return the message, without what would steer a terminal."""
        return printable(super().__str__())


class BadStructureError(SchNetCalcError, ValueError):
    """A structure that no network, or not this one, can say anything about."""

    index: int = 0
    """Its place in the batch."""


class NotFiniteError(SchNetCalcError, FloatingPointError):
    """The network returned values that are not finite."""

    index: int = 0
    """The place in the batch of the structure that they belong to."""


class TooManyPairsError(SchNetCalcError, MemoryError):
    """The pairs of a structure would not fit into memory."""


class DoubtfulStructureError(SchNetCalcError, RuntimeError):
    """The structure lies outside of what the model knows, and ``on_doubt`` is ``"stop"``."""

    index: int = 0
    """Its place in the batch."""


class DataError(SchNetCalcError, ValueError):
    """Labelled structures that can't be read or don't hold what is asked for."""


def in_a_line(error: Exception) -> str:
    """Return the first line of an error's text, and with it the last of one that quotes a log."""
    lines = str(error).splitlines() or [""]
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1].strip()}"
