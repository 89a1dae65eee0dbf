"""How functions are compiled: once, and kept for later processes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

COMMON: dict[str, Any] = {"nogil": True, "cache": True, "boundscheck": False, "error_model": "numpy"}


def _sources() -> str:
    """Hash of this room. Numba looks for changes in the file of a function, not in what that one calls."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


SOURCES = _sources()


def _decorator(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    def compiled(function: Callable[..., Any]) -> Any:
        try:
            dispatcher = numba.njit(**COMMON, **options)(function)
        except RuntimeError:
            # There is no place to keep it, neither beside the package nor in the home directory.
            return numba.njit(**{**COMMON, **options, "cache": False})(function)
        kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
        if kept is not None:
            kept._source_stamp = (kept._source_stamp, SOURCES)
        return dispatcher

    return compiled


exact = _decorator()
"""With arithmetic as it is written; knows what is not a number."""
jit = _decorator(fastmath=True)
"""Sums may be reordered, so that they vectorise."""
inner = _decorator(fastmath=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""The same for what only compiled code calls: half the time to compile."""
