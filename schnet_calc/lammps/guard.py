"""The guard against extrapolation where no process sees the whole structure: all of them act together."""

import logging
import math
from typing import Protocol

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from schnet_calc.errors import DoubtfulStructureError
from schnet_calc.guard.bonds import judge, reach, survey
from schnet_calc.guard.check import SLACK, energy_in_words, energy_limits
from schnet_calc.guard.domain import composition
from schnet_calc.guard.guard import grade_in_words, known_domain
from schnet_calc.lammps.evaluator import RankResults, Surroundings
from schnet_calc.lammps.pairs import close_pairs
from schnet_calc.model import Model

logger = logging.getLogger("schnet_calc")


class Ranks(Protocol):
    """What processes have to agree on; all of them call the same, in the same order."""

    rank: int
    size: int

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums (n,) over all ranks, in the unit of the values."""

    def least(self, value: int) -> int:
        """Return the smallest value of any rank."""

    def share(self, text: str, root: int) -> str:
        """Return the text that rank ``root`` has."""


class RankGuard:
    """Holds own atoms against training data and, with a committee, its disagreement.

    Grades, numbers of neighbours, closest approaches, composition and energy are looked at; separate molecules are
    not counted, which would need the whole structure.

    Parameters
    ----------
    model : Model
        Its ``on_doubt`` and ``max_forces_std`` hold here, too.
    numbers : array
        Atomic numbers that may occur.

    Raises
    ------
    ValueError
        ``on_doubt`` is a file.
    """

    def __init__(self, model: Model, numbers: NDArray[np.int64]) -> None:
        guard = model.guard
        if guard.file is not None:
            raise ValueError(
                f"on_doubt is 'ignore', 'warn' or 'stop' in LAMMPS, got {str(guard.on_doubt)!r}: "
                "no rank has the whole structure to write"
            )
        self.on_doubt, self.max_forces_std = guard.on_doubt, guard.max_forces_std
        self.count = 0
        """Doubtful structures so far."""
        self.active = guard.on_doubt != "ignore"
        self.domain = known_domain(model.potentials) if self.active else None
        self.reach = 0.0 if self.domain is None else reach(numbers)
        """Å, of the pairs that are looked at."""
        self._elements = np.unique(numbers)
        self._name, self._count = "", 0
        """Composition and number of all ranks' atoms."""

    def reasons(self, around: Surroundings, share: RankResults) -> list[str]:
        """Say why own atoms are outside of what the model knows; empty if they aren't."""
        found = []
        if self.domain is not None:
            found += self._outside(around)
        if self.active and share.grades is not None and share.grades.max(initial=0.0) > 1.0:
            found.append(grade_in_words(around.numbers, share.grades, around.tags))
        limit, spread = self.max_forces_std, share.forces_std
        if limit is not None and spread is not None and len(spread):
            lengths = np.linalg.norm(spread, axis=1)
            atom = int(lengths.argmax())
            if lengths[atom] > limit:
                found.append(
                    f"the committee's forces on atom {around.tags[atom]} have a standard deviation of "
                    f"{lengths[atom]:.3g} eV/Å, max_forces_std is {limit:g}"
                )
        return found

    def compositions(self, ranks: Ranks, numbers: NDArray[np.int64], periodic: bool) -> list[str]:
        """The same as :meth:`reasons` for the composition of all ranks, from own atomic numbers (n,)."""
        if not self.active:
            return []
        counts = ranks.total(np.array([(numbers == z).sum() for z in self._elements], float))
        self._name, self._count = "", int(counts.sum())
        if self.domain is None or self.domain.formulas is None or not self._count:
            return []
        whole = counts.astype(np.int64)
        divisor = math.gcd(*whole.tolist()) if periodic else 1
        numbers = np.repeat(self._elements, whole // divisor)
        self._name = name = composition(numbers, periodic)
        if name in self.domain.formulas:
            return []
        return [f"{name}, but the model was trained on {', '.join(sorted(self.domain.formulas))} only"]

    def energies(self, ranks: Ranks, share: RankResults) -> list[str]:
        """The same for the energy of all ranks, which call it together."""
        domain = self.domain
        limits = None if domain is None else energy_limits(domain, self._name, self._count)
        if domain is None or limits is None:
            return []
        energy = float(ranks.total(np.array([share.energies.sum()]))[0])
        if limits[0] <= energy <= limits[1]:
            return []
        return [energy_in_words(domain, self._name, energy / self._count)]

    def look(self, ranks: Ranks, around: Surroundings, share: RankResults, reasons: list[str]) -> None:
        """Act on what there is to say of a step and on earlier reasons; as for :meth:`reasons` and :meth:`act`."""
        if self.active:
            self.act(ranks, [*reasons, *self.reasons(around, share), *self.energies(ranks, share)])

    def act(self, ranks: Ranks, reasons: list[str]) -> None:
        """Warn once for all ranks, or stop all of them.

        Raises
        ------
        DoubtfulStructureError
            On every rank, with the reasons of the first that has any, if ``on_doubt`` is ``"stop"``.
        """
        first = ranks.least(ranks.rank if reasons else ranks.size)
        if first == ranks.size:
            return
        self.count += 1
        stop = self.on_doubt == "stop"
        if not stop and not math.log10(self.count).is_integer():
            return
        text = ranks.share("; ".join(reasons), first)
        if stop:
            raise DoubtfulStructureError(f"the structure is outside of what the model knows: {text}")
        if ranks.rank == 0:
            times = "" if self.count == 1 else f" (the {self.count}th such step)"
            logger.warning("the structure is outside of what the model knows%s: %s", times, text)

    def _outside(self, around: Surroundings) -> list[str]:
        domain, numbers, n_own = self.domain, around.numbers, around.n_own
        assert domain is not None
        i, j, shifts = close_pairs(
            around.positions, around.i, around.j, around.home, around.where, self.reach
        )
        fewest, most, low, high = self._ranges(numbers, n_own)
        index, places = np.searchsorted(self._elements, numbers), around.positions[around.where]
        geometry = (places, i, j, shifts)
        pair, atom, odd, kind, _ = judge(
            numbers, index, *geometry, domain.shortest, SLACK, fewest, most, low, high
        )
        tags, found = around.tags[around.where], []
        if max(pair, atom, odd) >= 0:
            counts, distances = survey(numbers, index, len(self._elements), *geometry)
        if pair >= 0:
            a, b = int(i[pair]), int(j[pair])
            found.append(
                f"atoms {tags[a]} ({chemical_symbols[numbers[a]]}) and {tags[b]} "
                f"({chemical_symbols[numbers[b]]}) are {distances[pair]:.2f} Å apart, the training data go "
                f"down to {domain.shortest[numbers[a], numbers[b]]:.2f} Å"
            )
        if atom >= 0 or odd >= 0:
            at = atom if atom >= 0 else odd
            total, bounds = counts[atom].sum(), (fewest[atom], most[atom])
            what = "neighbours"
            if atom < 0:
                total, bounds = counts[odd, kind], (low[odd, kind], high[odd, kind])
                what = f"neighbours of {chemical_symbols[self._elements[kind]]}"
            found.append(
                f"atom {tags[at]} ({chemical_symbols[numbers[at]]}) has {total:.1f} {what}, in the training "
                f"data {bounds[0]:.1f} to {bounds[1]:.1f}"
            )
        return found

    def _ranges(self, numbers: NDArray[np.int64], n_own: int) -> tuple[NDArray[np.float64], ...]:
        """Fewest and most neighbours (N,), and of each kind (N, kinds), that atoms had in training.

        Guests are judged by their owners, who see all of their neighbours.
        """
        domain = self.domain
        assert domain is not None
        fewest, most = np.full(len(numbers), -np.inf), np.full(len(numbers), np.inf)
        fewest[:n_own], most[:n_own] = domain.fewest[numbers[:n_own]], domain.most[numbers[:n_own]]
        low = np.full((len(numbers), len(self._elements)), -np.inf)
        high = np.full((len(numbers), len(self._elements)), np.inf)
        if domain.kinds:
            for a in self._elements:
                mine = np.flatnonzero(numbers[:n_own] == a)
                for k, b in enumerate(self._elements):
                    low[mine, k], high[mine, k] = domain.kinds.get((int(a), int(b)), (0.0, 0.0))
        return fewest, most, low, high
