"""The database of labels: each structure once, whatever happens."""

import sqlite3

import numpy as np
import pytest
from ase.build import molecule

from helpers import rattled
from schnet_calc.learn.store import DONE, FAILED, PLANNED, LabelStore, structure_key

RESULTS = {"energy": -1.25, "forces": np.arange(9.0).reshape(3, 3) / 7, "dipole": np.array([0.1, 0.2, 0.3])}


@pytest.fixture
def store(tmp_path):
    return LabelStore(tmp_path / "labels.db")


def test_labels_come_back_as_they_were_by_another_reader(store, water):
    water.set_initial_charges([0.5, 0.25, 0.25])
    water.info["charge"] = 1
    (key,) = store.plan([water], "modes", 0)
    assert store.count(PLANNED) == 1
    store.finish(key, RESULTS, 0.25)
    other = LabelStore(store.path)
    (found,) = other.labelled()
    for name, value in RESULTS.items():
        np.testing.assert_array_equal(found.calc.results[name], value)
    np.testing.assert_array_equal(found.positions, water.positions)
    np.testing.assert_array_equal(found.get_initial_charges(), water.get_initial_charges())
    assert found.info["charge"] == 1
    assert found.info["kind"] == "modes"
    assert other.seconds == 0.25


def test_a_structure_is_planned_once(store, water):
    first = store.plan([water, *rattled(water, 2)], "modes", 0)
    assert store.plan([water], "doubt", 3) == first[:1]
    assert store.count(PLANNED) == 3
    assert [key for key, _ in store.pending()] == first
    assert store.entries[first[0]].kind == "modes"


def test_no_second_label(store, water):
    (key,) = store.plan([water], "modes", 0)
    store.finish(key, RESULTS, 0.1)
    with pytest.raises(ValueError, match="is done already"):
        store.finish(key, RESULTS, 0.1)


def test_failures_are_kept_with_their_reason(store, water):
    (key,) = store.plan([water], "modes", 0)
    store.fail(key, "SCF did not converge", 2.0)
    other = LabelStore(store.path)
    assert other.count(FAILED) == 1
    assert other.failures() == ["SCF did not converge"]
    assert other.pending() == []
    assert other.labelled() == []
    assert other.result(key) is None


def test_another_reason_for_the_same_label(store, water):
    (key,) = store.plan([water], "relaxation", 0)
    store.finish(key, RESULTS, 0.1)
    assert store.labelled() == []
    store.reuse([key], "minimum")
    assert len(LabelStore(store.path).labelled()) == 1


def test_later_doubts_can_be_left_out(store, water):
    for k, atoms in enumerate(rattled(water, 3)):
        (key,) = store.plan([atoms], "doubt" if k else "modes", k)
        store.finish(key, RESULTS, 0.1)
    assert [len(store.labelled(before_round=n)) for n in (1, 2, 3)] == [1, 2, 3]
    assert store.count(DONE) == 3


def test_keys_see_the_last_bit_and_charges():
    atoms = molecule("H2O")
    moved = atoms.copy()
    moved.positions[0, 0] = np.nextafter(moved.positions[0, 0], 1.0)
    charged = atoms.copy()
    charged.set_initial_charges([1, 0, 0])
    assert len({structure_key(a) for a in (atoms, moved, charged)}) == 3
    assert structure_key(atoms) == structure_key(atoms.copy())


def test_a_run_that_was_killed_while_it_made_its_database_begins_anew(tmp_path, water):
    path = tmp_path / "labels.db"
    half = sqlite3.connect(tmp_path / "labels.db.tmp")
    half.execute("CREATE TABLE systems (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    half.close()
    store = LabelStore(path)
    store.plan([water], "modes", 0)
    assert LabelStore(path).count("planned") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["labels.db"]
