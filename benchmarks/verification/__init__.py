"""Numbers of the package beside closed forms and other codes: one function per row of the page "Verification".

A row is a function that returns ours and theirs, numbers or arrays of the same shape::

    @row("Modes", "zero-point energy of C20", "ASE, differences of forces", tolerance=1e-5, unit="eV")
    def zero_point_energy():
        return ours, theirs

It passes if no entry differs by more than the tolerance, which is in the row's unit (or a share of theirs with
``relative=True``). ``slow=True`` for what takes longer than two seconds, ``needs=("phonopy",)`` for packages
that may be missing. A new module in this folder is found by itself; ``benchmarks/verify.py`` runs and prints all
rows, ``tests/exact`` has them as tests.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

Compute = Callable[[], tuple[Any, Any]]


@dataclass(frozen=True)
class Outcome:
    """What a row found: the entry that differs most, if it has several."""

    ours: float
    theirs: float
    count: int
    """Numbers that were compared."""
    passed: bool


@dataclass(frozen=True)
class Row:
    """A number that the package prints, and what it is compared with."""

    section: str
    quantity: str
    against: str
    tolerance: float
    unit: str
    relative: bool
    slow: bool
    needs: tuple[str, ...]
    compute: Compute

    @property
    def missing(self) -> list[str]:
        """Packages that the row needs and that aren't installed."""
        return [name for name in self.needs if find_spec(name) is None]

    def run(self) -> Outcome:
        """Compute both sides and compare them."""
        ours, theirs = (np.asarray(x, dtype=float) for x in self.compute())
        if ours.shape != theirs.shape or not ours.size:
            raise ValueError(f"{self.quantity}: ours have the shape {ours.shape}, theirs {theirs.shape}")
        allowed = (
            self.tolerance * np.abs(theirs) if self.relative else np.full(theirs.shape, self.tolerance)
        )
        excess = np.where(np.isfinite(ours), np.abs(ours - theirs) - allowed, np.inf).ravel()
        worst = int(excess.argmax())
        return Outcome(
            float(ours.ravel()[worst]), float(theirs.ravel()[worst]), ours.size, bool(excess[worst] <= 0)
        )


ROWS: list[Row] = []


def row(
    section: str,
    quantity: str,
    against: str,
    *,
    tolerance: float,
    unit: str = "",
    relative: bool = False,
    slow: bool = False,
    needs: tuple[str, ...] = (),
) -> Callable[[Compute], Compute]:
    """Register a function as a row of the page.

    Parameters
    ----------
    section, quantity, against : str
        Where the row stands, what is compared, and with what.
    tolerance : float
        In the unit, or a share if ``relative``.
    unit : str
        As it is printed.
    relative : bool
        Whether the tolerance is a share of theirs.
    slow : bool
        Whether it takes longer than two seconds: then its test is marked slow.
    needs : tuple of str
        Packages without which it is left out.
    """

    def register(compute: Compute) -> Compute:
        ROWS.append(Row(section, quantity, against, tolerance, unit, relative, slow, needs, compute))
        return compute

    return register


def all_rows() -> list[Row]:
    """Import every module here and return the rows, module by module, in the order of the sections."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    rows = sorted(ROWS, key=lambda r: r.compute.__module__)  # whichever was imported first
    sections = list(dict.fromkeys(r.section for r in rows))
    return sorted(rows, key=lambda r: sections.index(r.section))
