"""Where ASE keeps what a file says beside the structure."""

from typing import Any

import ase


def find_label(atoms: ase.Atoms, key: str) -> Any:
    """The value of a key in calculator results, ``info`` or ``arrays``; None if it is nowhere."""
    results = atoms.calc.results if atoms.calc is not None else {}
    for source in (results, atoms.info, atoms.arrays):
        if key in source:
            return source[key]
    return None


def label_keys(atoms: ase.Atoms) -> list[str]:
    """All keys that :func:`find_label` finds."""
    results = atoms.calc.results if atoms.calc is not None else {}
    return sorted({*results, *atoms.info, *atoms.arrays})
