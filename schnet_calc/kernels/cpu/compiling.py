"""How functions are compiled: once, and kept for later processes; whoever waits is told."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from schnet_calc import compat
from schnet_calc.kernels.cpu import shipped
from schnet_calc.kernels.cpu.shipped import SOURCES, key_of, returned_types

announcer = logging.getLogger("schnet_calc.compiling")
"""Of its own, so that commands can print it without a word of warning."""
SECONDS = {
    "structure": ("energies and forces", 5, 25),
    "training": ("training", 10, 60),
    "gradients": ("training", 10, 60),
    "filters": ("training", 10, 60),
    "distributed": ("LAMMPS", 5, 25),
}
"""By module: what its functions are for, and what they take to compile, about: from shipped code, and without."""
_told: set[str] = set()


class Compiler(shipped.Compiler):
    """Says what takes a while."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """Compile a function for the argument types in :attr:`state`."""
        purpose, quick, slow = SECONDS.get(func.__module__.rpartition(".")[2], ("", 0, 0))
        if purpose and purpose not in _told:
            _told.add(purpose)
            seconds = quick if key_of(func, self.state.args) in returned_types() else slow
            # A warning, because it is shown where nobody has set up logging: silence looks like a fault.
            announcer.warning("compiling %s for this processor, once: about %d s", purpose, seconds)
        return super().compile_extra(func)


COMMON: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "boundscheck": False,
    "error_model": "numpy",
    "pipeline_class": Compiler,
}
DISPATCHERS: list[Any] = []
"""All compiled functions."""


def cache_folder() -> Path | None:
    """Return where compiled code is kept; None where there is no place for it."""
    for dispatcher in DISPATCHERS:
        if (path := compat.cache_folder(dispatcher)) is not None:
            return path
    return None


def _decorator(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    def compiled(function: Callable[..., Any]) -> Any:
        try:
            dispatcher = numba.njit(**COMMON, **options)(function)
        except RuntimeError:
            # There is no place to keep it, neither beside the package nor in the home directory.
            return numba.njit(**{**COMMON, **options, "cache": False})(function)
        DISPATCHERS.append(dispatcher)
        # Numba looks for changes in the file of a function, not in what that one calls.
        compat.keep_compiled(dispatcher, SOURCES)
        return dispatcher

    return compiled


# What isn't said here numba takes from the caller that is compiled first.
exact = _decorator(fastmath=False)
"""With arithmetic as it is written; knows what is not a number."""
jit = _decorator(fastmath=True)
"""Sums may be reordered, so that they vectorise."""
inner = _decorator(fastmath=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""The same for what only compiled code calls: half the time to compile."""
exact_inner = _decorator(fastmath=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""With arithmetic as it is written, for what only compiled code calls."""
copied = _decorator(fastmath=True, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""The same, put in the place of each call, where numbers that are written there are known."""
