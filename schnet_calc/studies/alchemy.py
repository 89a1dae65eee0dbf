"""From benzene to s-triazine over pyridine and pyrimidine with QM9's network: Figure 3.16 of the thesis.

Ring atoms change from carbon to nitrogen one by one, while their hydrogens fade: once at benzene's positions,
once on straight lines between the minima of QM9.
"""

from dataclasses import dataclass

import ase
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from schnet_calc.analysis.errors import KCAL_MOL
from schnet_calc.data import Frames
from schnet_calc.insight import alchemical_path
from schnet_calc.model import Model

MOLECULES = {
    "benzene": (208, ()),
    "pyridine": (209, (0,)),
    "pyrimidine": (211, (0, 2)),
    "s-triazine": (212, (0, 2, 4)),
}
"""Row of QM9, and where the ring has its nitrogens."""


def in_order(atoms: ase.Atoms, nitrogens: tuple[int, ...]) -> ase.Atoms:
    """Return ring atoms in turn, nitrogens at their places, then the hydrogen of each; X where there is none."""
    ring = np.flatnonzero(atoms.numbers > 1)
    arms = atoms.positions[ring] - atoms.positions[ring].mean(axis=0)
    _, _, axes = np.linalg.svd(arms)
    order = ring[np.argsort(np.arctan2(arms @ axes[1], arms @ axes[0]))]
    turns = [np.roll(order[::way], -k) for way in (1, -1) for k in range(6)]
    order = next(t for t in turns if tuple(np.flatnonzero(atoms.numbers[t] == 7)) == nitrogens)
    symbols, places = [], []
    for k in order:
        near = [h for h in np.flatnonzero(atoms.numbers == 1) if atoms.get_distance(k, h) < 1.3]
        outward = atoms.positions[k] - atoms.positions[ring].mean(axis=0)
        symbols.append("H" if near else "X")
        places.append(
            atoms.positions[near[0]]
            if near
            else atoms.positions[k] + 1.09 * outward / np.linalg.norm(outward)
        )
    return ase.Atoms([*atoms.symbols[order], *symbols], [*atoms.positions[order], *places])


def superposed(atoms: ase.Atoms, onto: ase.Atoms) -> ase.Atoms:
    """Return a copy turned and moved so that its ring lies on the other's."""
    centres = atoms.positions[:6].mean(axis=0), onto.positions[:6].mean(axis=0)
    turn, _ = Rotation.align_vectors(onto.positions[:6] - centres[1], atoms.positions[:6] - centres[0])
    found = atoms.copy()
    found.positions = turn.apply(atoms.positions - centres[0]) + centres[1]
    return found


@dataclass(frozen=True)
class AlchemicalStudy:
    """Outcome of :func:`study_alchemy`; energies less the reference energies of the model's elements, kcal/mol."""

    names: tuple[str, ...]
    """(S,) molecules on the way."""
    labels: NDArray[np.float64]
    """(S,) of QM9."""
    paths: dict[str, NDArray[np.float64]]
    """((S - 1) * points + 1,) the network's, at benzene's positions and between minima."""
    points: int
    """Steps between two molecules."""


def study_alchemy(model: str | Model, frames: Frames, points: int = 20) -> AlchemicalStudy:
    """Follow both paths.

    Parameters
    ----------
    model : str or Model
        A SchNet trained on QM9's energies.
    frames : Frames
        QM9.
    points : int
        Steps between two molecules.
    """
    loaded = model if isinstance(model, Model) else Model(model, on_doubt="ignore")
    stages = [in_order(frames.atoms(row), places) for row, places in MOLECULES.values()]
    benzene = stages[0]
    paths = {
        "benzene's positions": [ase.Atoms(stage.numbers, benzene.positions) for stage in stages],
        "relaxed": [superposed(stage, benzene) for stage in stages],
    }
    known = loaded.potential.reference_energies
    references = np.array([sum(known[int(z)] for z in s.numbers if z) for s in stages])
    line = np.interp(np.arange((len(stages) - 1) * points + 1), np.arange(len(stages)) * points, references)
    rows = [row for row, _ in MOLECULES.values()]
    return AlchemicalStudy(
        names=tuple(MOLECULES),
        labels=(frames.labels["energy"][rows] - references) / KCAL_MOL,
        paths={
            name: (alchemical_path(loaded, way, points) - line) / KCAL_MOL for name, way in paths.items()
        },
        points=points,
    )
