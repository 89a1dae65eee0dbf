"""Kinds of plain values in files from elsewhere."""

import math
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]

LONGEST_TEXT = 10_000
"""Characters of a name or sentence."""


def is_number(x: Any) -> bool:
    """Return whether it is a finite number."""
    try:
        return isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x)
    except OverflowError:  # a whole number beyond all floats
        return False


def is_whole(x: Any) -> bool:
    """Return whether it is a whole number."""
    return isinstance(x, int) and not isinstance(x, bool)


def is_text(x: Any) -> bool:
    """Return whether it is a text that is not too long."""
    return isinstance(x, str) and len(x) <= LONGEST_TEXT


def is_object(x: Any) -> bool:
    """Return whether it is an object of JSON."""
    return isinstance(x, dict)


def object_of(fits: Check, key: Check = is_text) -> Check:
    """Return what tells whether something is an object whose keys and values are of their kinds."""
    return lambda x: isinstance(x, dict) and all(key(k) and fits(v) for k, v in x.items())
