"""What compiled loops over pairs find before any feature."""

from typing import NamedTuple

import numpy as np
import pytest

from schnet_calc.kernels.cpu.compiling import jit
from schnet_calc.kernels.cpu.envelope import COSINE, CUTOFFS, envelope, envelopes
from schnet_calc.kernels.cpu.geometry import RUN, carve, geometry, words
from schnet_calc.kernels.cpu.weights import Codes, Constants
from schnet_calc.structures.neighbors import HalfPairs

CUTOFF, SPACING = 5.0, 0.02


class Weights(NamedTuple):
    """What of the arrays of a network the geometry reads."""

    embedding: np.ndarray
    tables: np.ndarray
    constants: Constants
    codes: Codes


@jit
def fill(length, kind, factor, slope):
    envelopes(length, kind, CUTOFF, 3.0, factor, slope)


@jit
def found(positions, i, j, shifts, weights):
    space = np.empty(words(i.shape[0], weights.embedding.itemsize))
    room = carve(space, i.shape[0], weights.embedding)
    pairs, closest, shortest = geometry(positions, HalfPairs(i, j, shifts), weights, room)
    near, knot, w, unit, length, _ = pairs
    return near, knot, w[:, : near.shape[0]], unit, length, closest, shortest


def weights_of(dtype):
    """A table from 0 to 4 Å, so that some pairs lie behind it."""
    constants = Constants(0.0, 0.0, SPACING, CUTOFF, 0.0, 0.5)
    codes = Codes(COSINE, 0, 0, 1, 1, 0)
    return Weights(np.zeros((2, 8), dtype), np.zeros((1, 205, 8), dtype), constants, codes)


def scattered(n_atoms=24):
    """Positions and pairs, some of them beyond the cutoff."""
    positions = np.random.default_rng(0).uniform(0, 5, (n_atoms, 3))
    i, j = np.triu_indices(n_atoms, 1)
    return positions, i, j, np.zeros((len(i), 3))


@pytest.mark.parametrize("kind", CUTOFFS)
def test_cutoff_functions_of_many_distances_are_those_of_one(kind):
    length = np.linspace(0.3, CUTOFF - 1e-6, 1001)
    factor, slope = np.empty_like(length), np.empty_like(length)
    fill(length, CUTOFFS[kind], factor, slope)
    one = np.array([envelope(d, CUTOFFS[kind], CUTOFF, 3.0) for d in length])
    np.testing.assert_allclose(factor, one[:, 0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(slope, one[:, 1], rtol=0, atol=1e-14)


def test_the_cosine_is_exact_to_rounding():
    length = np.linspace(0.0, CUTOFF, 1001)
    factor, slope = np.empty_like(length), np.empty_like(length)
    fill(length, COSINE, factor, slope)
    np.testing.assert_allclose(factor, 0.5 * (1 + np.cos(np.pi * length / CUTOFF)), rtol=0, atol=1e-15)
    np.testing.assert_allclose(
        slope, -0.5 * np.pi / CUTOFF * np.sin(np.pi * length / CUTOFF), rtol=0, atol=1e-15
    )


def test_pairs_within_the_cutoff_are_those_of_numpy():
    positions, i, j, shifts = scattered()
    near, knot, w, unit, length, closest, shortest = found(positions, i, j, shifts, weights_of("float64"))
    vectors = positions[j] - positions[i]
    d = np.linalg.norm(vectors, axis=1)
    kept = d < CUTOFF
    assert 0 < kept.sum() < len(d)
    # By the place in a table of 25 rows of 8 knots, and within a place as in the list.
    kept = np.flatnonzero(kept)[np.argsort(np.minimum(d[kept] // (8 * SPACING), 25), kind="stable")]
    np.testing.assert_array_equal(near, np.column_stack([i[kept], j[kept]]))
    np.testing.assert_allclose(length, d[kept], rtol=4e-15)
    np.testing.assert_allclose(unit, (vectors / d[:, None])[kept], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(knot, np.minimum(d[kept] // SPACING, 199))
    assert (closest, shortest) == (d.argmin(), pytest.approx(d.min(), rel=1e-15))
    # B-splines add up to one, so the weights add up to the cutoff function over the number of neighbours.
    np.testing.assert_allclose(w[:6].sum(0), 0.25 * (1 + np.cos(np.pi * d[kept] / CUTOFF)), atol=1e-14)


def test_no_pair_is_within_the_cutoff():
    positions, i, j, shifts = scattered(2)
    near, *_, closest, shortest = found(positions * 100, i, j, shifts, weights_of("float64"))
    assert (len(near), closest, shortest) == (0, -1, np.inf)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_pair_is_the_same_in_any_company(dtype):
    """To the bit, wherever a vector of several pairs begins: threads split a structure's pairs anywhere."""
    positions, i, j, shifts = scattered()
    weights = weights_of(dtype)
    near = np.linalg.norm(positions[j] - positions[i], axis=1) < CUTOFF
    i, j, shifts = i[near], j[near], shifts[near]
    near, knot, w, unit, length, *_ = found(positions, i, j, shifts, weights)
    place = {pair: k for k, pair in enumerate(map(tuple, near.tolist()))}
    for first in range(9):
        for n in (1, 2, 3, 5, 7, 8, 15, 17, 31, 64):
            part = slice(first, first + n)
            pairs, *some, _, _ = found(positions, i[part], j[part], shifts[part], weights)
            where = [place[pair] for pair in map(tuple, pairs.tolist())]
            for ours, all_of in zip(some, (knot, w.T, unit, length), strict=True):
                ours = ours.T if len(ours) == 12 and ours.ndim == 2 else ours
                np.testing.assert_array_equal(ours, all_of[where])


def test_a_long_list_is_put_in_order_run_by_run():
    positions, i, j, shifts = scattered(70)
    weights = weights_of("float64")
    near, _, _, _, length, *_ = found(positions, i, j, shifts, weights)
    d = np.linalg.norm(positions[j] - positions[i], axis=1)
    assert len(d) > 2 * RUN
    assert len(near) == (d < CUTOFF).sum() == len({tuple(pair) for pair in near.tolist()})
    first = (d[:RUN] < CUTOFF).sum()
    for run in (length[:first], length[first : first + (d[RUN : 2 * RUN] < CUTOFF).sum()]):
        assert (np.diff(np.minimum(run // (8 * SPACING), 25)) >= 0).all()
