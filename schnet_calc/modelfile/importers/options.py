"""What a file leaves open: told by the user, else the other code's default, which is then said."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.pickle_stack import Inert

MOST_OPTIONS = 1000
UNKNOWN = object()
"""Stands for what a file does not tell; None may be what it tells."""


class Options:
    """Options of one import.

    Parameters
    ----------
    given : mapping, optional
        By the user.
    stored : mapping, optional
        Found in the file beside the weights.
    """

    def __init__(
        self, given: Mapping[str, Any] | None = None, stored: Mapping[str, Any] | None = None
    ) -> None:
        self.given, self.stored = dict(given or {}), dict(stored or {})
        self.assumed: list[str] = []
        self.used: dict[str, Any] = {}

    def check(self, known: tuple[str, ...]) -> None:
        """Raise ``ModelFileError`` for options of the user that a format does not have."""
        strange = sorted(str(name)[:50] for name in set(self.given) - set(known))
        if strange:
            raise ModelFileError(f"no option {', '.join(strange)} for this format: only {', '.join(known)}")

    def settle(
        self, name: str, told: Any, default: Any, read: Callable[[Any], Any] = lambda value: value
    ) -> Any:
        """Return the value of an option.

        Parameters
        ----------
        name : str
            Of the option.
        told : Any
            What the file says; ``UNKNOWN`` if it doesn't.
        default : Any
            What the other code does by default; ``UNKNOWN`` if it must be told.
        read : callable
            Checks a value and returns it in our terms.

        Raises
        ------
        ModelFileError
            File and user say different things, or nobody says what must be said.
        """
        if told is UNKNOWN:
            told = self.stored.get(name, UNKNOWN)
        if told is not UNKNOWN:
            told = read(told)
        value = read(self.given[name]) if name in self.given else UNKNOWN
        if UNKNOWN not in (told, value) and not _same(told, value):
            raise ModelFileError(f"the file says that {name} is {_shown(told)}, not {_shown(value)}")
        for found in (value, told):
            if found is not UNKNOWN:
                self.used[name] = found
                return found
        if default is UNKNOWN:
            raise ModelFileError(f"the file does not tell {name}: give it, options={{{name!r}: ...}}")
        if name not in self.used:
            self.assumed.append(f"{name} = {_shown(default)}, the default of that code")
        self.used[name] = default
        return default


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) <= 1e-6 * max(abs(a), abs(b))
    return bool(a == b)


def _shown(value: Any) -> str:
    return f"{value!r:.50}" if isinstance(value, str | int | float | bool | None) else type(value).__name__


def read_pooling(value: Any) -> str:
    """Return ``"sum"`` or ``"mean"`` for the names that codes have for them."""
    names = {"sum": "sum", "add": "sum", "mean": "mean", "avg": "mean"}
    if not isinstance(value, str) or value not in names:
        raise ModelFileError(
            f"energies of atoms are pooled by {_shown(value)}: only sum and mean are known here"
        )
    return names[value]


def read_number(value: Any) -> float | None:
    """Return a finite number, or None as it is."""
    if value is None:
        return None
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not abs(number) < 1e12:
        raise ModelFileError(f"a number is needed, got {_shown(value)}")
    return number


def read_whole(value: Any) -> int:
    """Return a whole number above zero."""
    number = read_number(value)
    if number is None or not 0.0 < number < 1e9 or not number.is_integer():
        raise ModelFileError(f"a whole number is needed, got {_shown(value)}")
    return int(number)


def read_flag(value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise ModelFileError(f"True or False is needed, got {_shown(value)}")
    return value


def plain_options(found: Any) -> dict[str, Any]:
    """Return what a file keeps of options in a dictionary or namespace: plain values by name."""
    members = found.attributes() | (found.items or {}) if isinstance(found, Inert) else found
    if not isinstance(members, dict) or len(members) > MOST_OPTIONS:
        return {}
    plain = str | int | float | bool | None
    return {k: v for k, v in members.items() if isinstance(k, str) and isinstance(v, plain)}
