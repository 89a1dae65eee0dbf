"""Choosing structures: far from what is known, far from each other, no copies."""

import numpy as np
from ase.build import bulk, molecule

from helpers import rattled
from schnet_calc.learn.diversity import choose_diverse, fingerprint


def test_a_fingerprint_knows_no_place_direction_or_order_of_equal_atoms():
    atoms = rattled(molecule("CH3OH"), 1, 0.1)[0]
    moved = atoms.copy()
    moved.rotate(40, (1, 2, 3))
    moved.translate((3, -1, 2))
    hydrogens = np.flatnonzero(moved.numbers == 1)
    order = np.arange(len(moved))
    order[hydrogens] = hydrogens[::-1]
    np.testing.assert_allclose(fingerprint(moved[order]), fingerprint(atoms), atol=1e-12)


def test_the_farthest_comes_first_and_copies_never():
    atoms = molecule("CH3OH")
    near, far = rattled(atoms, 3, 1e-4), rattled(atoms, 2, 0.3, seed=5)
    pool = [*near, far[0], far[0].copy(), far[1]]
    chosen = choose_diverse(pool, [atoms], 10)
    assert sorted(chosen) in ([3, 5], [4, 5])  # one of the twins, none that is near what is known
    first = np.sqrt(((fingerprint(pool[chosen[0]]) - fingerprint(atoms)) ** 2).mean())
    second = np.sqrt(((fingerprint(pool[chosen[1]]) - fingerprint(atoms)) ** 2).mean())
    assert first > second


def test_the_count_is_kept():
    assert len(choose_diverse(rattled(molecule("CH3OH"), 20, 0.2), [], 4)) == 4
    assert choose_diverse([], [], 4) == []
    assert choose_diverse(rattled(molecule("CH3OH"), 3, 0.2), [], 0) == []


def test_other_molecules_are_no_neighbours():
    water, methanol = molecule("H2O"), molecule("CH3OH")
    assert choose_diverse([methanol], [water], 1) == [0]
    assert set(choose_diverse([water, methanol, water], [], 3)) in ({0, 1}, {2, 1})


def test_crystals_are_told_apart_by_their_images():
    crystal = bulk("Cu", cubic=True)
    wide = crystal.copy()
    wide.set_cell(1.1 * crystal.cell.array, scale_atoms=True)
    assert choose_diverse([crystal.copy(), wide], [crystal], 2) == [1]


def test_it_spreads_wider_than_chance():
    pool = [*rattled(molecule("CH3OH"), 60, 0.03), *rattled(molecule("CH3OH"), 4, 0.3, seed=99)]
    assert {60, 61, 62, 63} <= set(choose_diverse(pool, [molecule("CH3OH")], 12))
