"""Which atoms bind to which: what compositions cannot say of data of many molecules.

A fragment such as NH has bond lengths and numbers of neighbours that some molecule has, too. That a nitrogen binds
to one hydrogen and to nothing else is what no molecule has.
"""

import re
from collections.abc import Iterable

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

CLEAR = 0.25
"""Numbers of neighbours farther than this from whole ones belong to a bond that is being made or broken."""
MOST_ENVIRONMENTS = 2000
"""Data of more bind as they like, as metals do."""
_NAME = re.compile(r"([A-Z][a-z]?)\((?:[A-Z][a-z]?[0-9]+)*\)")


def environments(
    numbers: NDArray[np.int64], elements: NDArray[np.int64], counts: NDArray[np.float64]
) -> list[str | None]:
    """Return the neighbours of each atom, ``"N(H1C2)"``; None of atoms whose bonds are not clear.

    Parameters
    ----------
    numbers : array
        (N,) atomic numbers.
    elements : array
        (K,) those that occur, ascending.
    counts : array
        (N, K) neighbours of each element, counted smoothly.
    """
    whole = np.rint(counts)
    clear = np.abs(counts - whole).max(axis=1, initial=0.0) <= CLEAR
    symbols = [chemical_symbols[z] for z in elements]
    return [
        f"{chemical_symbols[z]}({''.join(f'{s}{int(n)}' for s, n in zip(symbols, row, strict=True) if n)})"
        if sure
        else None
        for z, row, sure in zip(numbers, whole, clear, strict=True)
    ]


def in_words(name: str, atom: int) -> str:
    """Say that no atom of the training data has the neighbours that one has."""
    symbol, _, rest = name.rstrip(")").partition("(")
    found = re.findall(r"([A-Z][a-z]?)([0-9]+)", rest)
    binds = ", ".join(f"{n} {s}" for s, n in found)
    bonds = f"is bonded to {binds} and nothing else" if found else "is bonded to nothing"
    return f"atom {atom} ({symbol}) {bonds}, as no {symbol} of the training data is"


def checked(names: Iterable[str]) -> frozenset[str]:
    """Return the names of a model file; anything else raises ValueError."""
    found = frozenset(names)
    for name in found:
        symbols = re.findall(r"[A-Z][a-z]?", name) if _NAME.fullmatch(name) else ["?"]
        if any(s not in atomic_numbers for s in symbols):
            raise ValueError(f"{name!r:.50} are no neighbours of an atom")
    return found
