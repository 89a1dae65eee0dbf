"""Noticing when a simulation leaves what its model knows (the open question of the thesis's Chapter 6)."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from schnet_calc.engine import Prediction
from schnet_calc.errors import DoubtfulStructureError, ModelFileError
from schnet_calc.guard.check import DomainCheck
from schnet_calc.guard.domain import Domain
from schnet_calc.guard.electrons import odd_state
from schnet_calc.modelfile import Potential
from schnet_calc.nn.heads import UNKNOWN
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import HalfPairs, NeighborLists
from schnet_calc.structures.structure import Structure

ACTIONS = ("ignore", "warn", "stop")
MOST_WRITTEN = 100
"""Doubtful structures that are written; a run that has gone astray would fill the disk."""
MOST_NAMED = 3
"""Atoms that a reason names."""
logger = logging.getLogger("schnet_calc")


class ExtrapolationGuard:
    """Holds every evaluated structure against training data and, with a committee, its disagreement.

    Each atom has a grade, its Mahalanobis distance from its element's training data in the last hidden layer of the
    network, by the limit (:mod:`schnet_calc.modelfile.grades`): since the energy is linear in that layer, no wild
    energy has a small grade. Distances, numbers of neighbours, compositions and fragments say in words what is odd.

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
        self._doubts: list[_Doubt] = []
        domain = known_domain(potentials)
        graded = any(p.grades is not None for p in potentials)
        silent = domain is None and not graded and max_forces_std is None
        if silent and on_doubt not in ("warn", "ignore"):
            names = ", ".join(p.path for p in potentials)
            raise ValueError(
                f"on_doubt is {str(on_doubt)!r}, but nothing would ever be doubted: {names} says nothing "
                "of its training data, and there is no max_forces_std"
            )
        self._domain = domain
        if on_doubt != "ignore":
            for p in potentials:
                if p.native and p.grades is None:
                    logger.info(
                        "%s has no grades of atoms: schnet-calc domain adds them", p.path or "the model"
                    )
        all_pairs = any(not math.isfinite(p.cutoff) for p in potentials)
        watched = domain is not None and on_doubt != "ignore"
        self._check = DomainCheck(domain, all_pairs) if watched and domain is not None else None

    def check(
        self,
        structures: Sequence[Structure],
        predictions: Sequence[Prediction],
        lists: NeighborLists,
        grades: Sequence[NDArray[np.float64] | None] | None = None,
        energies: Sequence[float] | None = None,
        states: Sequence[list[str]] = (),
        places: Sequence[int] | None = None,
    ) -> None:
        """Examine the structures of a batch and their predictions, and act.

        Parameters
        ----------
        structures, predictions : sequence
            In the order of the batch; the predictions of a single model are not looked at.
        lists : NeighborLists
            Of the places of the batch.
        grades, energies : sequence, optional
            (N,) and eV of each structure, where there are no predictions.
        states : sequence, optional
            What :meth:`odd_state` says of each structure.
        places : sequence of int, optional
            Of those that there is something to say of; all are looked at by default.

        Raises
        ------
        DoubtfulStructureError
            There are reasons for doubt and ``on_doubt`` is ``"stop"``.
        """
        if self.on_doubt == "ignore":
            return
        self._doubts = []
        graded = [p.grades for p in predictions] if grades is None else grades
        known = [p.energy for p in predictions] if energies is None else energies
        for k in range(len(structures)) if places is None else places:
            structure = structures[k]
            found, grade, pairs = list(states[k]) if states else [], graded[k], None
            if self._check is not None:
                pairs = lists.pairs(k, structure, self._check.reach(structure))
                found += self._check.reasons(structure, pairs, known[k], grade)
            spread = []
            if self.max_forces_std is not None:
                spread = self._disagreement(predictions[k], self.max_forces_std)
            # The sum of squares of most molecules is below one, which is sooner known than the largest grade.
            if grade is None or grade.dot(grade) <= 1.0 or not grade.max() > 1.0:
                grade = None
            if found or spread or grade is not None:
                which = f"structure {k}: " if len(structures) > 1 else ""
                self._doubts.append(_Doubt(which, found, spread, grade, structure, pairs, self._check))
                self._act(k, self._doubts[-1])

    @property
    def reasons(self) -> list[str]:
        """For doubt in the structures of the last evaluation; empty if there are none."""
        return [doubt.which + reason for doubt in self._doubts for reason in doubt.reasons]

    def odd_state(self, atoms: ase.Atoms) -> list[str]:
        """Say which charge or spin of a structure the training data don't have; empty where doubts are ignored."""
        if self.on_doubt == "ignore":
            return []
        domain = self._domain
        return odd_state(atoms) if domain is None else odd_state(atoms, domain.charge, domain.multiplicity)

    def check_geometries(
        self,
        geometries: Geometries,
        lists: NeighborLists,
        energies: NDArray[np.float64],
        grades: NDArray[np.float64] | None = None,
    ) -> None:
        """The same for geometries of the same atoms and a single model: as one, until there is a doubt.

        Energies are (B,), grades (B, N), or None where the model has none.
        """
        self._doubts = []
        count = len(geometries.positions)
        doubted = np.zeros(count, bool) if grades is None else grades.max(axis=1, initial=0.0) > 1.0
        if self._check is not None and not self._check.holds(geometries, energies, grades):
            for k in np.flatnonzero(~doubted).tolist():
                own = None if grades is None else grades[k : k + 1]
                doubted[k] = not self._check.holds(geometries.only(k), energies[k : k + 1], own)
        if doubted.any():
            each, places = [None] * count if grades is None else list(grades), np.flatnonzero(doubted)
            self.check(geometries.structures(), (), lists, each, energies.tolist(), places=places.tolist())

    def _disagreement(self, prediction: Prediction, limit: float) -> list[str]:
        spread = np.linalg.norm(prediction.forces_std, axis=1)
        atom = int(spread.argmax())
        if not spread[atom] > limit:
            return []
        return [
            f"the committee's forces on atom {atom} have a standard deviation of {spread[atom]:.3g} eV/Å, "
            f"max_forces_std is {limit:g}"
        ]

    def _act(self, index: int, doubt: "_Doubt") -> None:
        self.count += 1
        if self.on_doubt == "stop":
            error = DoubtfulStructureError(
                f"the structure is outside of what the model knows: {doubt.text}"
            )
            error.index = index
            raise error
        if self.file is not None and self.count <= MOST_WRITTEN:
            structure = doubt.structure
            atoms = ase.Atoms(
                structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc
            )
            atoms.info["doubt"] = doubt.text
            ase.io.write(self.file, atoms, append=True, format="extxyz")
        if math.log10(self.count).is_integer():
            times = "" if self.count == 1 else f" (the {self.count}th such structure)"
            logger.warning("the structure is outside of what the model knows%s: %s", times, doubt.text)


@dataclass
class _Doubt:
    """Why a structure is doubted; what a grade means in words is found when somebody asks."""

    which: str
    """Its name in a batch."""
    found: list[str]
    """By the training data's extent."""
    spread: list[str]
    """By a committee."""
    grades: NDArray[np.float64] | None
    """(N,) if one is above the limit."""
    structure: Structure
    pairs: HalfPairs | None
    check: DomainCheck | None

    def __post_init__(self) -> None:
        # Whose positions may be those of a simulation, which goes on.
        self.structure = self.structure._replace(positions=self.structure.positions.copy())

    @cached_property
    def reasons(self) -> list[str]:
        """All of them; with a grade goes the bond or angle that is farthest outside."""
        graded = []
        if self.grades is not None:
            graded.append(grade_in_words(self.structure.numbers, self.grades))
            named = any(reason.startswith(("the bond", "the angle")) for reason in self.found)
            if self.check is not None and self.pairs is not None and not named:
                graded.append(self.check.odd_shape(self.structure, self.pairs, worst_atoms(self.grades)))
        return [reason for reason in (*self.found, *graded, *self.spread) if reason]

    @property
    def text(self) -> str:
        """All in a line."""
        return self.which + "; ".join(self.reasons)


def worst_atoms(grades: NDArray[np.float64]) -> list[int]:
    """Return the atoms with the largest grades (N,), as far as these are above one."""
    return [int(k) for k in np.argsort(-grades)[:MOST_NAMED] if grades[k] > 1.0]


def grade_in_words(
    numbers: NDArray[np.int64], grades: NDArray[np.float64], tags: NDArray[np.int64] | None = None
) -> str:
    """Name the worst of atoms (N,) whose grades are above one; tags are other names than their places."""
    worst = worst_atoms(grades)
    if grades[worst[0]] == UNKNOWN:
        symbol = chemical_symbols[numbers[worst[0]]]
        return f"the data that the model's grades were made from hold no {symbol}"
    names = worst if tags is None else tags[worst].tolist()
    atoms = ", ".join(
        f"{name} ({chemical_symbols[numbers[k]]})" for k, name in zip(worst, names, strict=True)
    )
    values = ", ".join(f"{grades[k]:.3g}" for k in worst)
    what, verb = ("the grade of atom", "is") if len(worst) == 1 else ("the grades of atoms", "are")
    return f"{what} {atoms} {verb} {values}, the limit is 1"


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
