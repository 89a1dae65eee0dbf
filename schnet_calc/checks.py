"""What settings ask of their values; a value of None stands for a default that is found later."""

import math
from collections.abc import Iterable
from typing import Any


def check_positive(settings: Any, *names: str) -> None:
    """Raise ValueError where one of the named values is not a positive, finite number.

    >>> from types import SimpleNamespace
    >>> check_positive(SimpleNamespace(time=1.0, steps=None), "time", "steps")
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}")


def check_not_negative(settings: Any, *names: str) -> None:
    """Raise ValueError where one of the named values is not a finite number from zero on."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} must not be negative, and finite, got {value}")


def check_choice(name: str, value: Any, known: Iterable[str]) -> None:
    """Raise ValueError where a value is none of those that are known.

    Parameters
    ----------
    name : str
        What the error calls it.
    value : object
        What is checked.
    known : iterable of str
        All choices.
    """
    if value not in (known := tuple(known)):
        raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}")
