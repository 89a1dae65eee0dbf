"""A molecule and its vibrations for the scripts of a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis import Cluster, clusters, covalent_bonds
from schnet_calc.plots import class_color, flat_side
from schnet_calc.simulate.modes import NormalModes

AMPLITUDE = 0.35
"""Å that the atom which moves most is moved by."""
BOND_GAP = 0.015
"""Å between classes of bonds of the same elements."""


@dataclass(frozen=True)
class BondClasses:
    """Bonds of a molecule, those of equal length together."""

    pairs: NDArray[np.int64]
    """(B, 2)"""
    lengths: NDArray[np.float64]
    """(B,) Å"""
    classes: Sequence[Cluster]
    names: Sequence[str]
    """Of each class, such as ``"C-H"``"""

    @property
    def labels(self) -> list[str]:
        """Elements, length and number of each class's bonds."""
        return [
            f"{name} {c.mean:.3f} Å ({len(c.members)})"
            for name, c in zip(self.names, self.classes, strict=True)
        ]


def bond_classes(atoms: ase.Atoms) -> BondClasses:
    """Covalent bonds by elements, then by length."""
    wanted = covalent_bonds(atoms)
    lengths = np.linalg.norm(atoms.positions[wanted[:, 0]] - atoms.positions[wanted[:, 1]], axis=1)
    names = np.array(["-".join(sorted(atoms.symbols[pair])) for pair in wanted], dtype=object)
    classes, labels = [], []
    for name in sorted(set(names)):
        members = np.flatnonzero(names == name)
        for found in clusters(lengths[members], BOND_GAP):
            classes.append(Cluster(found.mean, members[found.members], found.spread))
            labels.append(str(name))
    return BondClasses(wanted, lengths, classes, labels)


def molecule_data(
    atoms: ase.Atoms, classes: BondClasses, modes: NormalModes | None = None
) -> dict[str, Any]:
    """Symbols, positions, bonds and displacements as plain values; lengths in Å.

    Parameters
    ----------
    atoms : ase.Atoms
        The molecule.
    classes : BondClasses
        Of its bonds, for their colours.
    modes : NormalModes, optional
        Whose displacements are wanted.
    """
    center, basis = atoms.positions.mean(axis=0), flat_side(atoms)
    data: dict[str, Any] = {
        "symbols": list(atoms.symbols),
        "positions": ((atoms.positions - center) @ basis.T).round(4).tolist(),
        "bonds": [
            {
                "pair": classes.pairs[member].tolist(),
                "color": class_color(k),
                "label": f"{classes.lengths[member]:.3f}",
            }
            for k, group in enumerate(classes.classes)
            for member in group.members
        ],
        "modes": [],
    }
    if modes is not None:
        largest = np.linalg.norm(modes.modes, axis=2).max(axis=1)
        turned = modes.modes @ basis.T * (AMPLITUDE / largest)[:, None, None]
        data["modes"] = turned.round(4).tolist()
    return data
