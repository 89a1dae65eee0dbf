"""Hyperparameters in a model file: of the types that a network's have, and no larger than networks are."""

from types import NoneType
from typing import Any, get_args, get_type_hints

from schnet_calc.modelfile.kinds import Check, is_number, is_text, is_whole, object_of
from schnet_calc.nn import NetworkConfig

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
