"""How training data spread in the last hidden layers of a network's heads: made once, kept in the model file."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schnet_calc.data.frames import Frames
from schnet_calc.engine import Engine
from schnet_calc.guard.domain import MOST_FORMULAS, composition
from schnet_calc.modelfile.grades import Grades, HeadGrades
from schnet_calc.structures.structure import Structure

FLOOR = 1e-6
"""Of the variance along any direction, by the mean variance: the training data of a small molecule leave most
directions out, and what leaks into these must count, but not the rounding of float32."""
SLACK = 1.5
"""The limit by the largest distance of any atom of training and validation frames. In up to 3,000 frames that a
shipped model has not seen, at its training's temperature, the largest distance is 0.1 to 1.5 times that: it is the
rarest atom of many."""
WHOLE_SLACK = 1.25
"""The same for the root mean square over a molecule, which scatters less: 0.2 to 1.2 times. Beads of C20 at
300 K from a cage rattled by 0.05 Å reach 1.25 times."""
ENOUGH = 10
"""Atoms of an element by units of the layer from which on their covariance is taken as it is."""
MOST_FRAMES = 10_000
"""That are looked at; of larger data every second, third ... frame is taken."""
BATCH = 256


class _Activations(NamedTuple):
    """Of some frames."""

    numbers: NDArray[np.int64]
    """(A,)"""
    frame: NDArray[np.int64]
    """(A,) which frame each atom belongs to"""
    hidden: dict[str, NDArray[np.float32]]
    """(A, H) by head"""


class Moments(NamedTuple):
    """Number, mean (H,) and covariance (H, H) of some atoms."""

    size: float
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def of(cls, h: NDArray[np.floating]) -> "Moments":
        """Return those of activations (n, H)."""
        count, width = h.shape
        if not count:
            return cls(0, np.zeros(width), np.zeros((width, width)))
        mean = h.mean(axis=0, dtype=np.float64)
        total = np.zeros((width, width))
        for start in range(0, count, 100_000):  # in float64, without a copy of all of them
            d = h[start : start + 100_000] - mean
            total += d.T @ d
        return cls(count, mean, total / count)


def statistics_of_data(
    engine: Engine,
    train: Frames,
    unseen: Frames | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Grades, dict[str, float]]:
    """Return the statistics of a network's heads over its training data, and what whole molecules have.

    That is the largest root mean square over the atoms of a molecule of each composition, with the slack: where no
    atom is beyond the rarest one of the data, all of them together may be. Data of many compositions, and crystals,
    have none.

    Parameters
    ----------
    engine : Engine
        Of the network.
    train : Frames
        What it was trained on.
    unseen : Frames, optional
        Validation frames: they set the limits with the others, and the scale of energies' error bars, if they have
        energies.
    progress : callable, optional
        Called with the number of frames done.
    """
    train = _some(train)
    unseen = None if unseen is None else _some(unseen)
    known = _activations(engine, train, progress)
    new = _activations(engine, unseen, None) if unseen is not None and len(unseen) else None
    heads = {}
    for name, h in known.hidden.items():
        head = _statistics(known, h, new, None if new is None else new.hidden[name])
        if name == "energy":
            calibration = (train, known) if new is None or unseen is None else (unseen, new)
            head = head._replace(total=_error_bars(engine, known, *calibration))
        heads[name] = head
    grades, wholes = Grades(heads), dict[str, float]()
    for frames, found in ((train, known), *(() if new is None or unseen is None else ((unseen, new),))):
        for name, value in _whole_grades(grades, frames, found):
            wholes[name] = max(wholes.get(name, 0.0), round(WHOLE_SLACK * value, 4))
    return grades, wholes if len(wholes) <= MOST_FORMULAS else {}


def _whole_grades(grades: Grades, frames: Frames, of: _Activations) -> Iterator[tuple[str, float]]:
    """Composition and root mean square grade of each molecule; of several heads the largest grades count."""
    largest = np.max(
        [head.grade(of.numbers, of.hidden[name].astype(np.float64)) for name, head in grades.heads.items()],
        axis=0,
    )
    squares = np.bincount(of.frame, largest**2) / np.bincount(of.frame)
    known: dict[bytes, str] = {}
    for k, square in enumerate(squares.tolist()):
        structure = frames.structure(k)
        if not structure.pbc.any():
            key = structure.numbers.tobytes()
            if key not in known:
                known[key] = composition(structure.numbers)
            yield known[key], math.sqrt(square)


def _some(frames: Frames) -> Frames:
    step = -(-len(frames) // MOST_FRAMES)
    return frames.select(np.arange(0, len(frames), step)) if step > 1 else frames


def _activations(engine: Engine, frames: Frames, progress: Callable[[int], None] | None) -> _Activations:
    hidden: dict[str, list[NDArray[np.float32]]] = {}
    for start in range(0, len(frames), BATCH):
        batch = [frames.structure(k) for k in range(start, min(start + BATCH, len(frames)))]
        for found in engine.hidden(batch):
            for name, h in found.items():
                hidden.setdefault(name, []).append(h.astype(np.float32))
        if progress is not None:
            progress(start + len(batch))
    frame = np.repeat(np.arange(len(frames)), frames.n_atoms)
    return _Activations(frames.numbers, frame, {name: np.concatenate(h) for name, h in hidden.items()})


def _statistics(
    known: _Activations,
    h: NDArray[np.float32],
    new: _Activations | None,
    h_new: NDArray[np.float32] | None,
) -> HeadGrades:
    """Means, covariances and limits of one head."""
    elements, width = np.unique(known.numbers), h.shape[1]
    whole = {int(z): Moments.of(h[known.numbers == z]) for z in elements}
    statistics, largest = list(_whitened(whole)), np.zeros(len(elements))
    for numbers, values in ((known.numbers, h), *(() if new is None else ((new.numbers, h_new),))):
        for k, (z, mean, whiten) in enumerate(statistics):
            mine = numbers == z
            if values is not None and mine.any():
                largest[k] = max(largest[k], _distances(values[mine], mean, whiten).max())
    # Of few atoms the largest distance says little: they may go as far as those of any other element.
    few = np.array([whole[int(z)].size < ENOUGH * width for z in elements])
    far = largest.copy()
    far[few] = np.maximum(far[few], largest.max())
    limit = SLACK * np.where(far > 0, far, np.sqrt(width))
    means, triangles = (np.array([s[k] for s in statistics]) for k in (1, 2))
    return HeadGrades(elements.astype(np.int64), means, triangles, largest, limit, np.zeros((0, 0)))


def _whitened(
    moments: dict[int, Moments],
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Each element with its mean and the inverse of L, of its regularised covariance ``L Lᵀ``."""
    counts = np.array([m.size for m in moments.values()])
    pooled = sum(m.size / max(counts.sum(), 1) * m.covariance for m in moments.values())
    for z, m in moments.items():
        yield z, m.mean, np.linalg.inv(np.linalg.cholesky(regularised(m, np.asarray(pooled), counts.sum())))


def regularised(moments: Moments, pooled: NDArray[np.float64], count: float) -> NDArray[np.float64]:
    """Return a covariance (H, H) that can be inverted.

    That of few atoms is mixed with the pooled one of all elements' atoms about their means, and if these are few,
    too, with the same variance along all directions. Then every direction has a variance of at least
    :data:`FLOOR` times the mean one.

    Parameters
    ----------
    moments : Moments
        Of the atoms of one element, H hidden units.
    pooled : array
        (H, H) covariance of all elements' atoms.
    count : float
        Atoms of all elements.
    """
    width = len(moments.mean)
    isotropic = max(float(np.trace(pooled)) / width, 1e-12) * np.eye(width)
    share = min(1.0, count / (ENOUGH * width))
    target = share * pooled + (1.0 - share) * isotropic
    own = min(1.0, moments.size / (ENOUGH * width))
    covariance = own * moments.covariance + (1.0 - own) * target
    return np.asarray(covariance + FLOOR * max(float(np.trace(covariance)) / width, 1e-12) * np.eye(width))


def _distances(
    h: NDArray[np.floating], mean: NDArray[np.float64], whiten: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm((h - mean) @ whiten.T, axis=1))


def _error_bars(
    engine: Engine, known: _Activations, frames: Frames, seen: _Activations
) -> NDArray[np.float64]:
    """The triangle whose product with a structure's sum of h has the length of its energy's error bar, eV.

    Last-layer prediction rigidity (Bigi et al. 2024): ``variance = alpha² fᵀ (F + floor)⁻¹ f`` with F the mean of
    ``f fᵀ`` over training structures, and alpha² the mean of squared errors by ``fᵀ (F + floor)⁻¹ f``: the most
    likely for normal errors.
    """
    f = _sums(engine, known)
    second = f.T @ f / len(f)
    second += FLOOR * max(float(np.trace(second)) / len(second), 1e-12) * np.eye(len(second))
    triangle = np.linalg.inv(np.linalg.cholesky(second))
    labelled = np.flatnonzero(np.isfinite(frames.energies))
    if not len(labelled):
        return np.zeros((0, 0))
    errors = frames.energies[labelled] - _energies(engine, [frames.structure(int(k)) for k in labelled])
    lengths = np.linalg.norm(_sums(engine, seen)[labelled] @ triangle.T, axis=1)
    return np.asarray(np.sqrt(np.mean((errors / lengths) ** 2)) * triangle)


def _sums(engine: Engine, of: _Activations) -> NDArray[np.float64]:
    """(M, H) what the energies of structures are linear in: sums over atoms, or means."""
    count = int(of.frame[-1]) + 1
    h = of.hidden["energy"]
    found = np.zeros((count, h.shape[1]))
    np.add.at(found, of.frame, h)
    config = engine.potential.metadata.config
    if config is not None and config.pooling == "mean":
        found /= np.bincount(of.frame)[:, None]
    return found


def _energies(engine: Engine, structures: Sequence[Structure]) -> NDArray[np.float64]:
    found = []
    for start in range(0, len(structures), BATCH):
        found += [p.energy for p in engine.evaluate(structures[start : start + BATCH], [])]
    return np.array(found)
