"""Kinds of plain values in files from elsewhere: hyperparameters, and what a file says of its training."""

import math
from collections.abc import Callable
from types import NoneType
from typing import Any, get_args, get_type_hints

from ase.data import atomic_numbers

from schnet_calc.nn import NetworkConfig

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


LIMITS = {"n_features": 8192, "n_filters": 8192, "n_gaussians": 10_000, "n_interactions": 100}
"""Hyperparameters beyond these are refused before anything is built."""
MOST_HEADS = MOST_LAYERS = 20


def hyperparameter_fault(kind: type[NetworkConfig], values: dict[str, Any]) -> str | None:
    """Return what is wrong with hyperparameters of a class, in words; None if nothing is.

    Names that the class doesn't have are left to itself.
    """
    for name, hint in get_type_hints(kind).items():
        value = values.get(name)
        optional = NoneType in get_args(hint)
        if name not in values or (value is None and optional):
            continue
        plain = next((t for t in (hint, *get_args(hint)) if t in KINDS), None)
        fits, rule = SEVERAL.get(name) or KINDS.get(plain, (lambda _: True, ""))
        if name in LIMITS:
            fits, rule = _whole_up_to(LIMITS[name]), f"a whole number up to {LIMITS[name]}"
        if not fits(value):
            raw = f"{value!r:.200}"
            return f"{name} must be {rule}{' or null' if optional else ''}, got {raw}"
    return None


def _whole_up_to(most: int) -> Check:
    return lambda x: is_whole(x) and 0 < x <= most


def _are_widths(x: Any) -> bool:
    return isinstance(x, list) and len(x) <= MOST_LAYERS and all(map(_whole_up_to(LIMITS["n_features"]), x))


KINDS: dict[Any, tuple[Check, str]] = {
    bool: (lambda x: isinstance(x, bool), "true or false"),
    int: (is_whole, "a whole number"),
    float: (is_number, "a finite number"),
    str: (is_text, "a name"),
}
SEVERAL: dict[str, tuple[Check, str]] = {
    "output_layers": (_are_widths, f"at most {MOST_LAYERS} widths"),
    "heads": (
        lambda x: object_of(is_text)(x) and len(x) <= MOST_HEADS,
        f"at most {MOST_HEADS} reductions by name",
    ),
}
"""Rules of what is no single value, by name."""


def training_fault(training: dict[str, Any]) -> str | None:
    """Return what is wrong with the record of a training, in words; None if nothing is."""
    for key, (fits, rule) in RULES.items():
        if training.get(key) is not None and not fits(training[key]):
            return f"training.{key} must be {rule}, got {training[key]!r:.200}"
    for key, (fits, rule) in DOMAIN_RULES.items():
        domain = training.get("domain") or {}
        if domain.get(key) is not None and not fits(domain[key]):
            return f"training.domain.{key} must be {rule}, got {domain[key]!r:.200}"
    return None


def _is_count(x: Any) -> bool:
    return is_whole(x) and 0 <= x < 2**60


def _is_range(x: Any) -> bool:
    return isinstance(x, list) and len(x) == 2 and is_number(x[0]) and is_number(x[1])


def _is_symbol(x: Any) -> bool:
    return isinstance(x, str) and x in atomic_numbers


def _is_pair(x: Any) -> bool:
    return isinstance(x, str) and x.count("-") == 1 and all(map(_is_symbol, x.split("-")))


def _is_error(x: Any) -> bool:
    # One that could not be computed is not a number; what lies deeper is nobody's business.
    return x is None or isinstance(x, float | dict) or is_number(x)


def _are_texts(x: Any) -> bool:
    return isinstance(x, list) and all(map(is_text, x))


RULES: dict[str, tuple[Check, str]] = {
    "data": (lambda x: is_text(x) or object_of(is_text)(x), "texts of at most 10,000 characters by name"),
    "n_train": (_is_count, "a whole number"),
    "steps": (_is_count, "a whole number"),
    "seconds": (lambda x: is_number(x) and x >= 0, "a number that is not negative"),
    "command": (is_text, "a text of at most 10,000 characters"),
    "validation_errors": (object_of(_is_error), "numbers by name"),
    "test_errors": (object_of(_is_error), "numbers by name"),
    "distance_range_ang": (_is_range, "two numbers of Å"),
    "config": (is_object, "an object"),
    "domain": (
        lambda x: isinstance(x, dict) and None not in (x.get("shortest_ang"), x.get("coordination")),
        "an object with shortest_ang and coordination",
    ),
    "source": (is_object, "an object"),
}
"""Of the values that are there and not null."""
DOMAIN_RULES: dict[str, tuple[Check, str]] = {
    "shortest_ang": (object_of(is_number, _is_pair), "numbers of Å by pairs of symbols"),
    "coordination": (object_of(_is_range, _is_symbol), "two numbers by symbol"),
    "neighbors": (object_of(object_of(_is_range, _is_symbol), _is_symbol), "two numbers by two symbols"),
    "formulas": (_are_texts, "a list of compositions"),
    "fragments": (_is_count, "a whole number"),
    "most_atoms": (_is_count, "a whole number"),
    "fewest_atoms": (_is_count, "a whole number"),
    "energies_ev": (object_of(_is_range), "two numbers of eV/atom by composition"),
    "environments": (_are_texts, "a list of neighbours of atoms"),
}
