"""How functions are compiled: once, and kept for later processes."""

from collections.abc import Callable
from typing import Any

import numba

COMMON: dict[str, Any] = {"nogil": True, "cache": True, "boundscheck": False, "error_model": "numpy"}


def _decorator(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    def compiled(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(**COMMON, **options)(function)
        except (
            RuntimeError
        ):  # neither beside the package nor in the home directory is there a place to keep it
            return numba.njit(**{**COMMON, **options, "cache": False})(function)

    return compiled


exact = _decorator()
"""With arithmetic as it is written; knows what is not a number."""
jit = _decorator(fastmath=True)
"""Sums may be reordered, so that they vectorise."""
inner = _decorator(fastmath=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""The same for what only compiled code calls: half the time to compile."""
