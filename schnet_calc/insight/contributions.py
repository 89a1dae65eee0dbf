"""Energies of atoms and of rings (thesis Sections 4.5.1 and 4.5.4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from schnet_calc.analysis import covalent_bonds
from schnet_calc.engine import make_engine
from schnet_calc.insight.loading import Model, open_potential
from schnet_calc.structures.structure import Structure

BATCH = 500
"""Structures at a time: thousands have many pairs."""


@dataclass(frozen=True)
class Contributions:
    """Outcome of :func:`atom_contributions`; atoms of all structures one after another."""

    numbers: NDArray[np.int64]
    """(N,) atomic numbers"""
    system: NDArray[np.int64]
    """(N,) the structure of each atom"""
    energies: NDArray[np.float64]
    """(N,) eV: what the network gives each atom, without the reference energy of its element"""
    references: NDArray[np.float64]
    """(N,) eV: the reference energies"""

    @property
    def totals(self) -> NDArray[np.float64]:
        """(structures,) eV: total energies."""
        return np.bincount(self.system, self.energies + self.references).astype(float)

    def by_element(self) -> dict[str, NDArray[np.float64]]:
        """The contributions (n,) of each element's atoms, eV, by symbol."""
        return {chemical_symbols[z]: self.energies[self.numbers == z] for z in np.unique(self.numbers)}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            symbol: {"atoms": len(e), "mean_ev": float(e.mean()), "std_ev": float(e.std())}
            for symbol, e in self.by_element().items()
        }


@dataclass(frozen=True)
class Rings:
    """Outcome of :func:`ring_energies`, most stable ring first."""

    members: NDArray[np.int64]
    """(R, size) atoms of each ring, in order around it"""
    energies: NDArray[np.float64]
    """(R,) eV: sums of their contributions (Eq. 4.16)"""


def atom_contributions(model: Model, structures: Sequence[ase.Atoms]) -> Contributions:
    """The energy of every atom of structures, in float64 (thesis Section 4.5.1).

    How a total energy is shared among atoms is not unique: other trainings may share it otherwise.

    Parameters
    ----------
    model : path, str, Potential or Model
        Any model file, or a shipped name.
    structures : sequence of Atoms
        At least one.

    Raises
    ------
    ValueError
        There are no structures, or one that the model can't take.
    """
    if not structures:
        raise ValueError("there are no structures to look at")
    potential = open_potential(model)
    engine = make_engine([potential], device="cpu", dtype="float64")
    predictions = []
    for start in range(0, len(structures), BATCH):
        batch = [Structure.from_atoms(atoms) for atoms in structures[start : start + BATCH]]
        predictions += engine.evaluate(batch)
    numbers = np.concatenate([atoms.numbers for atoms in structures]).astype(np.int64)
    references = np.array([potential.reference_energies[int(z)] for z in numbers])
    return Contributions(
        numbers=numbers,
        system=np.repeat(np.arange(len(structures)), [len(atoms) for atoms in structures]),
        energies=np.concatenate([p.energies for p in predictions]) - references,
        references=references,
    )


def ring_energies(model: Model, atoms: ase.Atoms, size: int = 6, symbol: str | None = "C") -> Rings:
    """Energies of the rings of a molecule (thesis Eq. 4.16).

    Parameters
    ----------
    model : path, str, Potential or Model
        Any model file, or a shipped name.
    atoms : Atoms
        A molecule.
    size : int
        Atoms in a ring: cycles of covalent bonds without a bond across count.
    symbol : str, optional
        Only rings of this element; None takes all.

    Raises
    ------
    ValueError
        The structure is periodic, or ``size`` is below three.
    """
    members = find_rings(atoms, size, symbol)
    energies = atom_contributions(model, [atoms]).energies[members].sum(axis=1)
    order = np.argsort(energies, kind="stable")
    return Rings(members[order], energies[order])


def find_rings(atoms: ase.Atoms, size: int = 6, symbol: str | None = "C") -> NDArray[np.int64]:
    """Find the rings of a molecule: cycles of covalent bonds without a bond across.

    (R, size) indices of atoms, in order around each. The arguments of :func:`ring_energies`, and its errors.
    """
    if atoms.pbc.any():
        raise ValueError("rings are looked for in molecules, and this structure is periodic")
    if size < 3:
        raise ValueError(f"a ring has at least three atoms, got size = {size}")
    bonded: list[set[int]] = [set() for _ in atoms]
    wanted = np.ones(len(atoms), bool) if symbol is None else np.array(atoms.symbols) == symbol
    for i, j in covalent_bonds(atoms):
        if wanted[i] and wanted[j]:
            bonded[i].add(int(j))
            bonded[j].add(int(i))
    return np.array(sorted(_cycles(bonded, size)), dtype=np.int64).reshape(-1, size)


def _cycles(bonded: list[set[int]], size: int) -> Iterator[list[int]]:
    """Cycles of so many atoms without a bond across: each once, from its first atom to the lower neighbour."""
    chains = [[k] for k in range(len(bonded))]
    while chains:
        chain = chains.pop()
        for k in bonded[chain[-1]]:
            if k <= chain[0] or k in chain:
                continue
            across = bonded[k] & set(chain[:-1])
            if len(chain) + 1 < size and not across:
                chains.append([*chain, k])
            elif len(chain) + 1 == size and across == {chain[0]} and chain[1] < k:
                yield [*chain, k]
