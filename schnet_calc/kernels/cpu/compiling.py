"""How functions are compiled: once, and kept for later processes."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

logger = logging.getLogger("schnet_calc")
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
            _forgive(dispatcher._cache)
        return dispatcher

    return compiled


def _forgive(cache: Any) -> None:
    """Compile anew where the cache is damaged, and go on where the disk is full: it only saves time."""
    load, save = cache.load_overload, cache.save_overload

    def forgiving_load(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        except Exception as error:  # unpickling what was damaged raises anything
            logger.warning("numba's cache can't be read (%r): compiling anew", error)
            return None

    def forgiving_save(*arguments: Any) -> None:
        try:
            save(*arguments)
        except Exception as error:
            logger.warning("numba's cache can't be written (%r)", error)

    cache.load_overload, cache.save_overload = forgiving_load, forgiving_save


exact = _decorator()
"""With arithmetic as it is written; knows what is not a number."""
jit = _decorator(fastmath=True)
"""Sums may be reordered, so that they vectorise."""
inner = _decorator(fastmath=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""The same for what only compiled code calls: half the time to compile."""
