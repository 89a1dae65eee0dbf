"""What a model file says of its training: all that others read of it, checked."""

from typing import Any

from ase.data import atomic_numbers

from schnet_calc.modelfile.kinds import Check, is_number, is_object, is_text, is_whole, object_of


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
