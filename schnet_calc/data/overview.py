"""What a data set holds, and whether its labels fit its structures."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import ase
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.geometry import find_mic
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from schnet_calc.data.frames import Frames
from schnet_calc.data.properties import ENERGY_UNITS, LENGTH_UNITS
from schnet_calc.structures.neighbors import half_pairs

REACH = 6.0
"""Å; distances beyond are not counted."""
CLOSE, FAR = 0.55, 1.6
"""The shortest distance of a data set lies between these times the sum of two covalent radii."""
SAME = 1e-7
"""Relative difference of the moments of all distances below which two frames are copies."""
SAMPLE, CLOSEST = 2000, 100
"""Frames among which similar ones are looked for, and pairs of them that forces are checked with."""
TRUSTED = 0.25
"""Share of the energy differences' variance that the forces may leave unexplained in this check."""


@dataclass(frozen=True)
class Overview:
    """Outcome of :func:`look_over`."""

    formulas: dict[str, int]
    """Frames per chemical formula."""
    labelled: dict[str, int]
    """Frames with each label."""
    scalars: dict[str, tuple[float, float, str]]
    """Mean, standard deviation and unit of further numbers and of the lengths of dipoles."""
    energies_per_atom: NDArray[np.float64]
    """(M',) eV, of the frames with a label."""
    force_norms: dict[str, NDArray[np.float64]]
    """eV/Å, of the atoms of each element."""
    distances: dict[str, tuple[NDArray[np.int64], float]]
    """Counts of the distances of two elements in bins of :meth:`edges`, and the shortest, Å."""
    duplicates: list[tuple[int, int]]
    """Frames that are copies of each other up to a rigid motion or a reflection."""
    slope: float | None
    """Energy differences of similar frames over the work of their forces, 1 if the units fit; None if
    the frames are too far apart to tell."""
    warnings: list[str]
    """What doesn't fit."""

    @staticmethod
    def edges() -> NDArray[np.float64]:
        """(121,) Å."""
        return np.linspace(0.0, REACH, 121)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        energies = self.energies_per_atom
        return {
            "n_frames": sum(self.formulas.values()),
            "formulas": self.formulas,
            "labelled": self.labelled,
            "scalars": self.scalars,
            "energy_per_atom_ev": (
                {"mean": float(energies.mean()), "std": float(energies.std())} if len(energies) else None
            ),
            "force_rms_ev_ang": {s: float(np.sqrt((f**2).mean() / 3)) for s, f in self.force_norms.items()},
            "shortest_distance_ang": {pair: low for pair, (_, low) in self.distances.items()},
            "duplicates": self.duplicates,
            "energy_over_work": self.slope,
            "warnings": self.warnings,
        }


def look_over(frames: Frames, progress: Callable[[int, int], None] | None = None) -> Overview:
    """Count, compare and check the frames of a data set.

    Parameters
    ----------
    frames : Frames
        Labelled structures, in eV and Å.
    progress : callable, optional
        Called with the number of frames done, and their number.
    """
    seen = _Census(len(frames))
    for k in range(len(frames)):
        seen.add(k, frames.atoms(k))
        if progress is not None:
            progress(k + 1, len(frames))
    norms = np.linalg.norm(frames.forces, axis=1)
    with_energy, with_forces = frames.labelled("energy"), np.isfinite(norms)
    slope = energy_over_work(frames.select(np.flatnonzero(with_energy & frames.labelled("forces"))))
    duplicates = _duplicates(frames, seen.moments)
    return Overview(
        formulas=dict(seen.formulas.most_common()),
        labelled={name: int(frames.labelled(name).sum()) for name in frames.labels},
        scalars=_scalars(frames),
        energies_per_atom=(frames.energies / frames.n_atoms)[with_energy],
        force_norms={
            chemical_symbols[z]: norms[(frames.numbers == z) & with_forces]
            for z in frames.elements
            if with_forces[frames.numbers == z].any()
        },
        distances={name: (seen.histograms[name], seen.shortest[name]) for name in sorted(seen.histograms)},
        duplicates=duplicates,
        slope=slope,
        warnings=[*unit_warnings(seen.closest, slope), *_other_warnings(frames, duplicates)],
    )


class _Census:
    """What is counted over the structures of M frames."""

    def __init__(self, n_frames: int) -> None:
        self.formulas: Counter[str] = Counter()
        self.histograms: dict[str, NDArray[np.int64]] = {}
        self.shortest: dict[str, float] = {}
        self.closest = np.inf
        self.moments = np.zeros((n_frames, 4))

    def add(self, k: int, atoms: ase.Atoms) -> None:
        """Count frame k."""
        self.formulas[atoms.get_chemical_formula()] += 1
        reach = REACH if atoms.pbc.any() else np.inf
        pairs = half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, reach)
        vectors = atoms.positions[pairs.j] - atoms.positions[pairs.i] + pairs.shifts
        d = np.linalg.norm(vectors, axis=1)
        if not len(d):
            return
        self.moments[k] = d.mean(), (d**2).mean(), (d**3).mean(), (1 / np.maximum(d, 1e-9)).mean()
        numbers = np.sort(np.stack((atoms.numbers[pairs.i], atoms.numbers[pairs.j])), axis=0)
        self.closest = min(self.closest, float((d / covalent_radii[numbers].sum(axis=0)).min()))
        for a, b in np.unique(numbers, axis=1).T:
            name = f"{chemical_symbols[a]}-{chemical_symbols[b]}"
            these = d[(numbers[0] == a) & (numbers[1] == b)]
            counts, _ = np.histogram(these, Overview.edges())
            self.histograms[name] = self.histograms.get(name, 0) + counts
            self.shortest[name] = min(self.shortest.get(name, np.inf), float(these.min()))


def _scalars(frames: Frames) -> dict[str, tuple[float, float, str]]:
    found = {}
    for name, values in frames.labels.items():
        if name in ("energy", "forces", "virial"):
            continue
        known = values[frames.labelled(name)]
        sizes = np.linalg.norm(known, axis=1) if known.ndim > 1 else known
        found[name] = (float(sizes.mean()), float(sizes.std()), frames.properties[name].unit)
    return found


def _duplicates(frames: Frames, moments: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Neighbours in the order of their moments that agree in all of them, and in size."""
    keys = np.column_stack((frames.n_atoms, moments))
    order = np.lexsort(keys.T[::-1])
    first, second = keys[order[:-1]], keys[order[1:]]
    same = (np.abs(first - second) <= SAME * np.abs(first)).all(axis=1)
    pairs = np.sort(np.column_stack((order[:-1], order[1:]))[same], axis=1)
    return sorted((int(a), int(b)) for a, b in pairs)


def energy_over_work(frames: Frames) -> float | None:
    """Slope of energy differences over the work of the forces between similar frames.

    For a quadratic surface E(b) - E(a) = -(F(a) + F(b))/2 · (b - a) exactly; so the slope is 1 if
    energies, lengths and forces are in the units that are said, and -1 for gradients in place of forces.
    None where fewer than 20 pairs of frames with the same atoms and cell can be compared, or where the
    work explains too little of the differences.
    """
    work, change = [], []
    for rows in _alike(frames):
        for a, b in _nearest(frames, rows):
            step, mean_force = _between(frames, a, b)
            work.append(-float((step * mean_force).sum()))
            change.append(float(frames.energies[b] - frames.energies[a]))
    w, e = np.array(work), np.array(change)
    if len(w) < 20 or not (w @ w and e @ e):
        return None
    slope = float(w @ e / (w @ w))
    unexplained = float(((e - slope * w) ** 2).sum() / (e @ e))
    return slope if unexplained < TRUSTED else None


def _alike(frames: Frames) -> list[NDArray[np.int64]]:
    """Frames with the same atoms in the same order, and the same cell; at most ``SAMPLE`` of each kind."""
    groups: dict[bytes, list[int]] = {}
    for k in range(len(frames)):
        key = frames.numbers[frames.rows(k)].tobytes() + frames.cells[k].tobytes() + frames.pbc[k].tobytes()
        groups.setdefault(key, []).append(k)
    rng = np.random.default_rng(0)
    return [rng.permutation(rows)[:SAMPLE] for rows in groups.values() if len(rows) > 1]


def _nearest(frames: Frames, rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The frames that have a most similar partner, in their atoms' distances, and that partner."""
    positions = np.stack([frames.positions[frames.rows(k)] for k in rows])
    i, j = np.triu_indices(positions.shape[1], 1)
    vectors = positions[:, i] - positions[:, j]
    if frames.pbc[rows[0]].any():
        flat, _ = find_mic(vectors.reshape(-1, 3), frames.cells[rows[0]], frames.pbc[rows[0]])
        vectors = flat.reshape(vectors.shape)
    lengths = np.linalg.norm(vectors, axis=2)
    apart = cdist(lengths, lengths)
    apart[apart < 1e-6] = np.inf  # itself, and copies
    partner, gap = apart.argmin(axis=1), apart.min(axis=1)
    best = [k for k in np.argsort(gap)[:CLOSEST] if np.isfinite(gap[k])]
    return [(int(rows[k]), int(rows[partner[k]])) for k in best]


def _between(frames: Frames, a: int, b: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacements from a to b and mean forces, (N, 3) each; molecules are laid upon each other."""
    here, there = frames.rows(a), frames.rows(b)
    step = frames.positions[there] - frames.positions[here]
    forces_there = frames.forces[there]
    if frames.pbc[a].any():
        step, _ = find_mic(step, frames.cells[a], frames.pbc[a])
    else:
        x, y = (frames.positions[s] - frames.positions[s].mean(axis=0) for s in (here, there))
        turn, _ = Rotation.align_vectors(x, y)
        step, forces_there = turn.apply(y) - x, turn.apply(forces_there)
    return step, 0.5 * (frames.forces[here] + forces_there)


def unit_warnings(closest: float, slope: float | None) -> list[str]:
    """Say what is odd about distances (closest pair over its covalent radii) and about energies over work."""
    found = []
    if np.isfinite(closest) and not CLOSE < closest < FAR:
        found.append(
            f"the closest atoms are {closest:.2f} times the sum of their covalent radii apart: "
            "is the unit of lengths right?"
        )
    if slope is not None and abs(slope - 1) > 0.2:
        found.append(
            f"energies change by {slope:.3g} times the work of the forces: "
            f"{_explain(slope)}, or other units?"
        )
    return found


def _explain(slope: float) -> str:
    """The mistake in units that gives a slope nearest to this one."""
    mistakes = {1.0: ""}
    for (b, y), (a, x), (c, z) in product(ENERGY_UNITS.items(), ENERGY_UNITS.items(), LENGTH_UNITS.items()):
        mistakes.setdefault(x / (y * z), f"energies in {b} beside forces in {a}/{c}")
    factor = min(mistakes, key=lambda f: abs(np.log(abs(slope) / f)))
    parts = [*(["gradients in place of forces"] if slope < 0 else []), mistakes[factor]]
    return " and ".join(p for p in parts if p)


def _other_warnings(frames: Frames, duplicates: list[tuple[int, int]]) -> list[str]:
    found = []
    if duplicates:
        found.append(
            f"{len(duplicates)} pairs of frames are copies of each other, the first {duplicates[0]}"
        )
    known = frames.select(np.flatnonzero(frames.labelled("forces")))
    if not len(known):
        return found
    total = np.add.reduceat(known.forces, known.offsets[:-1], axis=0)
    net = np.linalg.norm(total, axis=1) / np.sqrt(known.n_atoms)
    scale = float(np.sqrt((known.forces**2).mean()))
    if scale and float(np.median(net)) > 0.05 * scale:
        found.append(
            f"forces don't add up to zero: {float(np.median(net)):.2g} eV/Å per √N in the median frame"
        )
    return found
