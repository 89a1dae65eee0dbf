"""What the network of QM9 has learned: Figures 3.12, 4.8 and 4.10 to 4.14 of the thesis."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.build import molecule
from numpy.typing import NDArray

from schnet_calc.data import Frames
from schnet_calc.insight import (
    Contributions,
    Surface,
    atom_contributions,
    distance_sensitivity,
    find_rings,
    potential_surface,
)
from schnet_calc.model import Model
from schnet_calc.studies.kept import Progress

PAIRS = (("C", "C"), ("H", "H"), ("C", "H"))
"""Of Figs. 4.11 to 4.13."""
PROBED = {"benzene": "C6H6", "pyridine": "C5H5N", "furan": "C4H4O", "acetamide": "CH3CONH2"}
"""Molecules to probe, by their names in ASE's collection."""
PROBE = "C"
LONGEST, CLOSE = 12.0, 4.0
"""Å, of Figs. 4.11 and 4.13."""
FLAT = 0.05
"""Å, root mean square distance from their plane up to which ring atoms count as an aromatic ring."""
BATCH = 512
"""Molecules that are evaluated at a time."""


@dataclass(frozen=True)
class RankedRing:
    """A ring of a molecule of QM9."""

    row: int
    """Of the molecule in the data."""
    atoms: ase.Atoms
    members: NDArray[np.int64]
    """(6,) its atoms, in order around it"""
    energy: float
    """eV, the sum of the contributions of its atoms (Eq. 4.16)"""


@dataclass(frozen=True)
class QM9Insight:
    """Outcome of :func:`study_qm9`."""

    contributions: Contributions
    """Of a sample of the molecules."""
    rings: list[RankedRing]
    """Flat six-membered rings of carbon, most stable first."""
    distances: NDArray[np.float64]
    """(M,) Å"""
    sensitivities: dict[str, NDArray[np.float64]]
    """(M, 2) 1/Å by pair, such as ``"C-H"``"""
    edges: NDArray[np.float64]
    """(B + 1,) Å, of the bins of the pair distributions"""
    pair_distributions: dict[str, NDArray[np.float64]]
    """(B,) share of the sample's pairs per Å, by pair"""
    surfaces: dict[str, tuple[ase.Atoms, Surface]]
    """Molecules and the local chemical potentials around them, by name."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: contributions, first and last rings, ranges of the potentials."""
        ends = [*self.rings[:10], *self.rings[10:][-10:]]
        return {
            "contributions": self.contributions.to_dict(),
            "n_rings": len(self.rings),
            "rings": [
                {
                    "row": r.row,
                    "formula": str(r.atoms.symbols.get_chemical_formula()),
                    "energy_ev": r.energy,
                }
                for r in ends
            ],
            "potentials_ev": {
                name: [float(s.values.min()), float(s.values.max())]
                for name, (_, s) in self.surfaces.items()
            },
        }


def study_qm9(
    model: str | Model,
    frames: Frames,
    n_molecules: int | None = None,
    sample: int = 5000,
    seed: int = 0,
    progress: Progress | None = None,
) -> QM9Insight:
    """Look at the molecules of QM9 through a model trained on them.

    Parameters
    ----------
    model : str or Model
        A SchNet that knows H, C, N and O.
    frames : Frames
        QM9.
    n_molecules : int, optional
        Look for rings in as many only, drawn at random.
    sample : int
        Molecules, drawn at random, for contributions and pair distributions.
    seed : int
        Of the draws.
    progress : callable, optional
        Called with a label, molecules done, and their number.
    """
    loaded = model if isinstance(model, Model) else Model(model, on_doubt="ignore")
    order = np.random.default_rng(seed).permutation(len(frames))
    some = [frames.atoms(int(k)) for k in order[:sample]]
    distances = np.linspace(0.7, LONGEST, 400)
    edges = np.linspace(0.5, LONGEST, 231)
    rows = order if n_molecules is None else order[:n_molecules]
    return QM9Insight(
        contributions=atom_contributions(loaded, some),
        rings=rank_rings(loaded, frames, np.sort(rows), progress),
        distances=distances,
        sensitivities={"-".join(p): distance_sensitivity(loaded, p, distances) for p in PAIRS},
        edges=edges,
        pair_distributions={"-".join(p): pair_distribution(some, p, edges) for p in PAIRS},
        surfaces=dict(_surfaces(loaded)),
    )


def rank_rings(
    model: Model, frames: Frames, rows: Sequence[int] | NDArray[np.int64], progress: Progress | None = None
) -> list[RankedRing]:
    """Return the flat six-membered carbon rings of molecules, most stable first (Section 4.5.4).

    Cycles of cages are left out: the thesis's question is how stable aromatic rings are.

    Parameters
    ----------
    model : Model
        Of energies.
    frames : Frames
        Molecules.
    rows : sequence of int
        Those to look at.
    progress : callable, optional
        Called with a label, molecules done, and their number.
    """
    carbons = np.add.reduceat((frames.numbers == 6).astype(int), frames.offsets[:-1])
    found: list[tuple[int, ase.Atoms, NDArray[np.int64]]] = []
    for k, row in enumerate(rows):
        if progress is not None and k % 1000 == 0:
            progress("rings", k, len(rows))
        if carbons[row] < 6:
            continue
        atoms = frames.atoms(int(row))
        rings = find_rings(atoms)
        rings = rings[np.array([_unevenness(atoms.positions[r]) < FLAT for r in rings], dtype=bool)]
        if len(rings):
            found.append((int(row), ase.Atoms(atoms.numbers, atoms.positions), rings))
    ranked = []
    for start in range(0, len(found), BATCH):
        part = found[start : start + BATCH]
        shares = atom_contributions(model, [atoms for _, atoms, _ in part])
        for k, (row, atoms, rings) in enumerate(part):
            mine = shares.energies[shares.system == k]
            ranked += [RankedRing(row, atoms, ring, float(mine[ring].sum())) for ring in rings]
    return sorted(ranked, key=lambda r: r.energy)


def _unevenness(positions: NDArray[np.float64]) -> float:
    """Root mean square distance of points from the plane that fits them best, Å."""
    arms = positions - positions.mean(axis=0)
    return float(np.linalg.svd(arms, compute_uv=False)[-1]) / len(positions) ** 0.5


def pair_distribution(
    structures: Sequence[ase.Atoms], pair: tuple[str, str], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how often pairs of two elements are how far apart within molecules (Fig. 4.12).

    Parameters
    ----------
    structures : sequence of Atoms
        Molecules.
    pair : tuple of str
        Symbols.
    edges : array
        (B + 1,) Å, of the bins.

    Returns
    -------
    array
        (B,) share of the pairs per Å.
    """
    counts = np.zeros(len(edges) - 1)
    for atoms in structures:
        symbols = np.array(atoms.get_chemical_symbols())
        i, j = np.triu_indices(len(atoms), 1)
        wanted = ((symbols[i] == pair[0]) & (symbols[j] == pair[1])) | (
            (symbols[i] == pair[1]) & (symbols[j] == pair[0])
        )
        lengths = np.linalg.norm(atoms.positions[i[wanted]] - atoms.positions[j[wanted]], axis=1)
        counts += np.histogram(lengths, edges)[0]
    return counts / (max(counts.sum(), 1.0) * np.diff(edges))


def _surfaces(model: Model) -> Iterator[tuple[str, tuple[ase.Atoms, Surface]]]:
    for name, formula in PROBED.items():
        atoms = molecule(formula)
        yield name, (atoms, potential_surface(model, atoms, PROBE))
