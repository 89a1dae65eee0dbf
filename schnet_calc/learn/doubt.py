"""When a committee and its guard doubt: limits from validation errors, and frames held against them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from schnet_calc.engine import Prediction
from schnet_calc.guard.check import DomainCheck
from schnet_calc.guard.guard import known_domain
from schnet_calc.learn.settings import COMMITTEE, GRADE
from schnet_calc.model import Model
from schnet_calc.structures.neighbors import NeighborLists
from schnet_calc.structures.structure import Structure

DOUBT = 6.0
"""Times the typical error of the force on an atom: an error that large is expected where there is doubt."""
ASTRAY = 8.0
"""Times the limit: what comes after such a frame has been made by wrong forces."""
NORMAL = 2.2
"""Root mean square of a vector per mean absolute value of its components, for normal errors."""
BATCH = 64


@dataclass(frozen=True)
class Calibration:
    """How a committee's spread goes with its error, on structures that it was not trained on."""

    force_mae: float
    """Mean absolute error of the mean's force components, eV/Å."""
    error: float
    """Root mean square error of the force on an atom, eV/Å."""
    spread: float
    """Root mean square of its standard deviation, eV/Å."""
    correlation: float
    """Spearman's, of both; 1: one tells the other."""

    @property
    def ratio(self) -> float:
        """Error per spread: above 1, the members agree too much."""
        return self.error / max(self.spread, 1e-9)

    def limit(self, accuracy: float) -> float:
        """Return the standard deviation of the force on an atom, eV/Å, from which on there is doubt.

        It is that which goes with :data:`DOUBT` times the typical error; errors below the accuracy that is
        wanted, a mean absolute error in eV/Å, don't tighten it any more.
        """
        return DOUBT * max(self.error, NORMAL * accuracy) / self.ratio


@dataclass(frozen=True)
class Judgement:
    """What a committee thinks of frames."""

    spreads: NDArray[np.float64]
    """(M,) eV/Å, largest standard deviation of the force on an atom; or the largest grade, where that chooses."""
    reasons: list[str]
    """For doubt, empty where there is none."""
    limit: float
    """Of the spreads, in their unit."""

    @property
    def doubtful(self) -> NDArray[np.int64]:
        """(n,) indices of the frames in doubt."""
        return np.flatnonzero([bool(reason) for reason in self.reasons])

    @property
    def sound(self) -> int:
        """Number of frames before one that is astray."""
        lost = np.flatnonzero(self.spreads > ASTRAY * self.limit)
        return int(lost[0]) + 1 if len(lost) else len(self.spreads)


class Judge:
    """A committee that looks at structures.

    Parameters
    ----------
    models : sequence of Path
        Its files.
    choose : str
        Whether its disagreement about forces decides, or the largest grade; see :class:`LearnSettings`.

    Raises
    ------
    ValueError
        Grades decide, and a model has none.
    """

    def __init__(self, models: Sequence[Path], choose: str = COMMITTEE) -> None:
        self.by_grade = choose == GRADE
        # Doubts are all that is asked for here: nobody is to be warned of them.
        self.model = Model(list(models), device="cpu", on_doubt="warn" if self.by_grade else "ignore")
        for potential in self.model.potentials if self.by_grade else ():
            if potential.grades is None:
                raise ValueError(f"{potential.path} has no grades to choose by")
        domain = known_domain(self.model.potentials)
        self._check = None if domain is None else DomainCheck(domain)

    def calibrate(self, labelled: Sequence[ase.Atoms]) -> Calibration:
        """Compare spread and error on labelled structures."""
        means, spreads = self._forces(labelled)
        off = np.concatenate([a.calc.results["forces"] for a in labelled]) - np.concatenate(means)
        errors = np.linalg.norm(off, axis=1)
        spread = np.linalg.norm(np.concatenate(spreads), axis=1)
        varied = len(errors) > 2 and np.ptp(errors) > 0 and np.ptp(spread) > 0
        return Calibration(
            force_mae=float(np.abs(off).mean()),
            error=float(np.sqrt((errors**2).mean())),
            spread=float(np.sqrt((spread**2).mean())),
            correlation=float(spearmanr(spread, errors).statistic) if varied else 0.0,
        )

    def judge(self, frames: Sequence[ase.Atoms], limit: float) -> Judgement:
        """Hold frames against what the members know, and against a limit (eV/Å) of the spread, or grades of one."""
        if self.by_grade:
            largest, limit = np.array([_largest(p) for p in self._evaluated(frames)]), 1.0
        else:
            _, spreads = self._forces(frames)
            largest = np.array([np.linalg.norm(s, axis=1).max() for s in spreads])
        reasons = []
        for atoms, value in zip(frames, largest, strict=True):
            found = self._outside(atoms)
            if not value <= limit and self.by_grade:
                found.append(f"the largest grade of an atom is {value:.3g}, the limit is 1")
            elif not value <= limit:
                found.append(f"a force's standard deviation is {value:.3f} eV/Å, the limit is {limit:.3f}")
            reasons.append("; ".join(found))
        return Judgement(largest, reasons, limit)

    def _evaluated(self, frames: Sequence[ase.Atoms]) -> Iterator[Prediction]:
        """What the committee says of each frame."""
        for start in range(0, len(frames), BATCH):
            yield from self.model.engine.evaluate(
                [Structure.from_atoms(a) for a in frames[start : start + BATCH]], []
            )

    def _forces(
        self, frames: Sequence[ase.Atoms]
    ) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """Mean forces and standard deviations of each frame, (N, 3) eV/Å."""
        found = list(self._evaluated(frames))
        return [p.forces for p in found], [p.forces_std for p in found]

    def _outside(self, atoms: ase.Atoms) -> list[str]:
        if self._check is None:
            return []
        structure = Structure.from_atoms(atoms)
        pairs = NeighborLists().pairs(0, structure, self._check.reach(structure))
        return list(self._check.reasons(structure, pairs))


def _largest(prediction: Prediction) -> float:
    """Largest grade of an atom by any member."""
    assert prediction.grades is not None
    return float(prediction.grades.max(initial=0.0))
