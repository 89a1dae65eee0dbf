"""Noticing when a simulation leaves what its model knows (the open question of the thesis's Chapter 6)."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import ase
import ase.io
import numpy as np

from schnet_calc.engine import Prediction
from schnet_calc.errors import DoubtfulStructureError, ModelFileError
from schnet_calc.guard.check import DomainCheck
from schnet_calc.guard.domain import Domain
from schnet_calc.modelfile import Potential
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import NeighborLists
from schnet_calc.structures.structure import Structure

ACTIONS = ("ignore", "warn", "stop")
MOST_WRITTEN = 100
"""Doubtful structures that are written; a run that has gone astray would fill the disk."""
logger = logging.getLogger("schnet_calc")


class ExtrapolationGuard:
    """Holds every evaluated structure against training data and, with a committee, its disagreement.

    Parameters
    ----------
    potentials : sequence of Potential
        The model, or the members of a committee.
    on_doubt : str or path
        ``"ignore"``, ``"warn"`` (in the log, at the 1st, 10th, 100th ... time), ``"stop"`` (an error), or
        the name of an ``.xyz`` or ``.extxyz`` file that the structures are appended to beside the warnings.
    max_forces_std : float, optional
        eV/Å; the standard deviation of the committee for the force on an atom, the length of its three
        components, that is a reason for doubt.

    Raises
    ------
    ValueError
        Another ``on_doubt``, one that could never act, or a threshold that is not positive or has no
        committee.
    """

    def __init__(
        self,
        potentials: Sequence[Potential],
        on_doubt: str | Path = "warn",
        max_forces_std: float | None = None,
    ) -> None:
        named = isinstance(on_doubt, (str, Path)) and Path(on_doubt).suffix in (".xyz", ".extxyz")
        self.file = Path(on_doubt) if named else None
        if self.file is not None and not self.file.parent.is_dir():
            raise ValueError(f"on_doubt names {str(on_doubt)!r}, but there is no folder for it")
        if self.file is None and on_doubt not in ACTIONS:
            raise ValueError(
                f"on_doubt is one of {', '.join(ACTIONS)}, or the name of an .xyz or .extxyz file, "
                f"got {str(on_doubt)!r}"
            )
        if max_forces_std is not None:
            if len(potentials) < 2:
                raise ValueError("max_forces_std is a threshold for committees: give several models")
            if not (max_forces_std > 0 and math.isfinite(max_forces_std)):
                raise ValueError(f"max_forces_std must be positive, got {max_forces_std} eV/Å")
        self.on_doubt, self.max_forces_std = on_doubt, max_forces_std
        self.count = 0
        """Doubtful structures so far."""
        self.reasons: list[str] = []
        """For doubt in the structures of the last evaluation; empty if there are none."""
        domain = known_domain(potentials)
        if domain is None and max_forces_std is None and on_doubt not in ("warn", "ignore"):
            names = ", ".join(p.path for p in potentials)
            raise ValueError(
                f"on_doubt is {str(on_doubt)!r}, but nothing would ever be doubted: {names} says nothing "
                "of its training data, and there is no max_forces_std"
            )
        self._check = DomainCheck(domain) if domain is not None and on_doubt != "ignore" else None

    def check(
        self, structures: Sequence[Structure], predictions: Sequence[Prediction], lists: NeighborLists
    ) -> None:
        """Examine the structures of a batch and their predictions, and act.

        Parameters
        ----------
        structures, predictions : sequence
            In the order of the batch; the predictions of a single model are not looked at.
        lists : NeighborLists
            Of the places of the batch.

        Raises
        ------
        DoubtfulStructureError
            There are reasons for doubt and ``on_doubt`` is ``"stop"``.
        """
        if self.on_doubt == "ignore":
            return
        self.reasons = []
        for k, structure in enumerate(structures):
            found = []
            if self._check is not None:
                found += self._check.reasons(
                    structure, lists.pairs(k, structure, self._check.reach(structure))
                )
            if self.max_forces_std is not None:
                found += self._disagreement(predictions[k], self.max_forces_std)
            if found:
                which = f"structure {k}: " if len(structures) > 1 else ""
                self.reasons += [which + reason for reason in found]
                self._act(k, structure, which + "; ".join(found))

    def check_geometries(self, geometries: Geometries, lists: NeighborLists) -> None:
        """The same for geometries of the same atoms and a single model: as one, until there is a doubt."""
        self.reasons = []
        if self._check is not None and not self._check.holds(geometries):
            self.check(geometries.structures(), (), lists)

    def _disagreement(self, prediction: Prediction, limit: float) -> list[str]:
        spread = np.linalg.norm(prediction.forces_std, axis=1)
        atom = int(spread.argmax())
        if not spread[atom] > limit:
            return []
        return [
            f"the committee's forces on atom {atom} have a standard deviation of {spread[atom]:.3g} eV/Å, "
            f"max_forces_std is {limit:g}"
        ]

    def _act(self, index: int, structure: Structure, text: str) -> None:
        self.count += 1
        if self.on_doubt == "stop":
            error = DoubtfulStructureError(f"the structure is outside of what the model knows: {text}")
            error.index = index
            raise error
        if self.file is not None and self.count <= MOST_WRITTEN:
            atoms = ase.Atoms(
                structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc
            )
            atoms.info["doubt"] = text
            ase.io.write(self.file, atoms, append=True, format="extxyz")
        if math.log10(self.count).is_integer():
            times = "" if self.count == 1 else f" (the {self.count}th such structure)"
            logger.warning("the structure is outside of what the model knows%s: %s", times, text)


def known_domain(potentials: Sequence[Potential]) -> Domain | None:
    """What the members' training data hold together; None if no file says."""
    found = []
    for potential in potentials:
        values = potential.metadata.training.get("domain")
        if values is None:
            continue
        try:
            found.append(Domain.from_dict(values))
        except ValueError as error:
            raise ModelFileError(f"{potential.path}: {error}") from error
    return Domain.joined(found) if found else None
