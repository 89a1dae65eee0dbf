"""What several training data hold together."""

import re
from typing import Any


def without_numbers(shapes: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Ranges that are no reason for doubt: in a hot crystal the number of an atom's bonds is a matter of taste."""
    return joined_ranges([{re.sub("[0-9]", "", name): limits} for name, limits in shapes.items()])


def joined_ranges(several: list[dict[Any, tuple[float, float]]]) -> dict[Any, tuple[float, float]]:
    """The widest range of each key; a key that a part doesn't know has none there."""
    found: dict[Any, tuple[float, float]] = {}
    for ranges in several:
        for key, (low, high) in ranges.items():
            a, b = found.get(key, (low, high))
            found[key] = min(a, low), max(b, high)
    return found


def largest(values: list[int | None]) -> int | None:
    """The largest value; None if a part knows none."""
    known = [x for x in values if x is not None]
    return max(known) if known and len(known) == len(values) else None


def smallest(values: list[int | None]) -> int | None:
    """The smallest value; None if a part knows none."""
    known = [x for x in values if x is not None]
    return min(known) if known and len(known) == len(values) else None


def union(values: list[frozenset[str] | None]) -> frozenset[str] | None:
    """All of what each part knows; nothing if a part knows nothing."""
    known = [x for x in values if x is not None]
    return frozenset().union(*known) if known and len(known) == len(values) else None


def any_of(values: list[bool | None]) -> bool | None:
    """Whether any is true; None if a part doesn't know."""
    return None if None in values or not values else any(values)
