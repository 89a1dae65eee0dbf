"""Pairs within a cutoff: none missed while a list is kept, and no more than memory holds."""

import ase
import numpy as np
import pytest
from ase.build import bulk

from helpers import key_set
from schnet_calc.errors import TooManyPairsError
from schnet_calc.structures.neighbors import NeighborLists, SkinList, half_pairs
from schnet_calc.structures.structure import Structure


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("Si", cubic=True),
        bulk("Si"),
        bulk("Si", cubic=True) * (3, 3, 1),
        ase.Atoms("H150", np.random.default_rng(0).uniform(0, 12, (150, 3))),
    ],
    ids=["cubic", "primitive", "slab", "molecule"],
)
def test_no_pair_is_missed_while_the_list_is_kept(atoms, monkeypatch):
    cutoff, made = 4.0, []
    atoms = atoms.copy()
    if len(atoms) == 72:
        atoms.pbc = (True, True, False)
    whole = half_pairs
    monkeypatch.setattr(
        "schnet_calc.structures.neighbors.half_pairs", lambda *a: made.append(a[3]) or whole(*a)
    )
    kept = SkinList(cutoff, skin=0.6)
    rng = np.random.default_rng(1)
    for _ in range(40):
        atoms.positions += rng.normal(scale=0.04, size=atoms.positions.shape)
        arrays = (atoms.positions, atoms.cell.array, atoms.pbc)
        found = key_set(kept.pairs(*arrays), atoms.positions, cutoff)
        assert found == key_set(whole(*arrays, cutoff), atoms.positions, cutoff)
    assert made[:2] == [4.0, 4.6]  # the first list serves a single evaluation
    assert 3 < len(made) < 25
    # Wrapped back into the cell, and a cell that has changed: made anew at once.
    before = len(made)
    atoms.positions[0] += 2 * atoms.cell[0] if atoms.pbc[0] else 1.0
    kept.pairs(atoms.positions, atoms.cell.array, atoms.pbc)
    assert len(made) == before + 1
    if atoms.pbc.any():
        atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
        arrays = (atoms.positions, atoms.cell.array, atoms.pbc)
        found = key_set(kept.pairs(*arrays), atoms.positions, cutoff)
        assert found == key_set(whole(*arrays, cutoff), atoms.positions, cutoff)


def test_who_looks_less_far_gets_the_near_pairs_of_the_same_list():
    """All that come so close before the list is made again, and few more: the guard looks at them in each step."""
    lists, rng = NeighborLists(), np.random.default_rng(2)
    atoms = bulk("Si", cubic=True) * (3, 3, 3)
    for step in range(30):
        atoms.positions += rng.normal(scale=0.04, size=atoms.positions.shape)
        structure = Structure.from_atoms(atoms)
        arrays = (atoms.positions, atoms.cell.array, atoms.pbc)
        far, near = lists.pairs(0, structure, 8.0), lists.pairs(0, structure, 3.0)
        assert lists.pairs(0, structure, 8.0) is far
        for cutoff, pairs in ((8.0, far), (3.0, near)):
            found = key_set(pairs, atoms.positions, cutoff)
            assert found == key_set(half_pairs(*arrays, cutoff), atoms.positions, cutoff)
        assert step == 0 or len(near.i) < len(far.i) / 5


@pytest.mark.parametrize("pbc", [(0, 0, 1), (1, 1, 0), (1, 0, 0)], ids=str)
def test_wires_and_slabs_are_not_taken_for_heaps(pbc, monkeypatch):
    """Along open directions atoms are as far apart as they are."""
    monkeypatch.setattr("schnet_calc.structures.neighbors.available_memory", lambda: 2 * 10**9)
    atoms = bulk("Si", "sc", a=2.5) * (25, 25, 25)
    atoms.pbc = pbc
    assert len(half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, 5.5).i) > 10**5


def test_the_estimate_of_pairs_is_about_right(monkeypatch):
    """Never far below what there are, for the crystals and molecules of every day."""
    monkeypatch.setattr("schnet_calc.structures.neighbors.WORTH_ASKING", 0)
    rng = np.random.default_rng(1)
    shapes = [
        bulk("Si", cubic=True) * (3, 3, 3),
        bulk("Cu"),
        bulk("Si") * (5, 1, 1),
        ase.Atoms("C400", rng.uniform(0, 15, (400, 3))),
    ]
    for atoms in shapes:
        estimates: list[float] = []

        def none_left(estimates=estimates):
            estimates.append(1.0)
            return 0

        monkeypatch.setattr("schnet_calc.structures.neighbors.available_memory", none_left)
        arrays = (atoms.positions, atoms.cell.array, atoms.pbc, 5.0)
        with pytest.raises(TooManyPairsError) as caught:
            half_pairs(*arrays)
        said = float(str(caught.value).split("about ")[1].split()[0])
        monkeypatch.setattr("schnet_calc.structures.neighbors.available_memory", lambda: 10**12)
        assert 0.9 < said / len(half_pairs(*arrays).i) < 6


def test_one_list_for_everybody_at_a_place(monkeypatch):
    """Whoever asks for less than the list holds gets it; who asks for more has it made anew."""
    made, whole = [], half_pairs
    monkeypatch.setattr(
        "schnet_calc.structures.neighbors.half_pairs", lambda *a: made.append(a[3]) or whole(*a)
    )
    lists, silicon = NeighborLists(), Structure.from_atoms(bulk("Si", cubic=True))
    four = lists.pairs(0, silicon, 4.0)
    assert lists.pairs(0, silicon, 3.0) is four
    assert len(lists.pairs(0, silicon, 5.0).i) > len(four.i)
    assert made == [4.0, 5.0]
    assert lists.pairs(0, silicon, 4.0) is lists.pairs(0, silicon, 5.0)
    lists.pairs(1, silicon, 4.0)
    assert made == [4.0, 5.0, 4.0]
    far = 10**6  # places beyond those that are kept
    assert lists.pairs(far, silicon, 4.0) is not lists.pairs(far, silicon, 4.0)


def test_all_pairs_of_a_large_molecule_are_found_once(monkeypatch):
    """Without a cutoff they are the same wherever the atoms are."""
    rng = np.random.default_rng(0)
    kept, where = SkinList(np.inf), (np.zeros((3, 3)), np.zeros(3, bool))
    first = kept.pairs(rng.uniform(0, 30, (150, 3)), *where)
    assert len(first.i) == 150 * 149 // 2
    assert kept.pairs(rng.uniform(0, 90, (150, 3)), *where) is first
    assert len(kept.pairs(rng.uniform(0, 30, (140, 3)), *where).i) == 140 * 139 // 2


@pytest.mark.parametrize("pbc", [(False, False, True), (True, True, False), (True, False, True)])
def test_long_skewed_vectors_beside_open_directions(pbc):
    """Alone, vesin divides by zero here and takes the process with it."""
    cell = np.array([[95.7, 0.0, 495.2], [2200.5, 122.7, 0.0], [0.0, 2821.8, 21.5]])
    positions = np.random.default_rng(0).normal(scale=2.0, size=(18, 3))
    found = half_pairs(positions, cell, np.array(pbc), 4.0)
    distances = np.linalg.norm(positions[:, None] - positions, axis=2)
    assert len(found.i) == (np.triu(distances, 1) > 0).sum() - (np.triu(distances, 1) >= 4.0).sum()
    assert not found.shifts.any()
