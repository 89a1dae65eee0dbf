"""The isomers of Table 5.5."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes

from helpers import write_qm9
from schnet_calc.data import Split, read_frames
from schnet_calc.studies.configs import config_folder
from schnet_calc.studies.isomers import KINDS, held_out_isomers, isomer_rows

SPEC = spec_from_file_location("sample", Path(__file__).parents[2] / "examples" / "isomers" / "sample.py")
sampling = module_from_spec(SPEC)
SPEC.loader.exec_module(sampling)


class Well(Calculator):
    """Atoms held where they first were."""

    implemented_properties = ("energy", "forces")

    def __init__(self, fails_at=None):
        super().__init__()
        self.home, self.calls, self.fails_at = None, 0, fails_at

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        if self.calls == self.fails_at:
            raise CalculationFailed("no convergence")
        if self.home is None or abs(atoms.positions - self.home).max() > 1.0:
            self.home = atoms.positions.copy()  # the next molecule
        off = atoms.positions - self.home
        self.results = {"energy": 5.0 * (off**2).sum(), "forces": -10.0 * off}


def isomer(seed):
    """Some arrangement of the atoms, no chemistry meant."""
    places = np.random.default_rng(seed).uniform(-4, 4, (19, 3))
    return ase.Atoms("C3H2OC4H8O", places)


@pytest.fixture
def qm9(tmp_path):
    return write_qm9(tmp_path / "qm9", [molecule("C6H6"), *(isomer(k) for k in range(6)), molecule("H2O")])


def test_only_isomers_are_drawn_sorted_by_element(qm9):
    drawn = list(sampling.draw_isomers(qm9))
    assert sorted(atoms.info["row"] for atoms in drawn) == [1, 2, 3, 4, 5, 6]
    for atoms in drawn:
        assert list(atoms.numbers) == [1] * 10 + [6] * 7 + [8] * 2
        original = isomer(atoms.info["row"] - 1)
        assert {tuple(p) for p in atoms.positions.round(6)} == {
            tuple(p) for p in original.positions.round(6)
        }
    assert [a.info["row"] for a in sampling.draw_isomers(qm9)] == [a.info["row"] for a in drawn]


def test_frames_move_and_a_failure_gives_none(qm9):
    atoms = next(sampling.draw_isomers(qm9))
    found = sampling.move(atoms, Well(), seed=0, n_frames=3)
    assert found["R"].shape == (3, 19, 3)
    np.testing.assert_allclose(found["F"], -10.0 * (found["R"] - atoms.positions), atol=1e-9)
    assert sampling.move(atoms, Well(fails_at=120), seed=0, n_frames=3) is None


def test_a_killed_sampling_goes_on_and_failed_molecules_give_way(qm9, tmp_path, monkeypatch):
    whole, parts = Well(fails_at=50), Well(fails_at=50)
    monkeypatch.setattr(sampling, "reference_calculator", lambda name: whole)
    paths = sampling.sample_isomers(tmp_path / "whole", qm9, n_molecules=5, n_frames=4)
    frames = read_frames(paths[0])
    assert len(frames) == 20
    assert len(list((tmp_path / "whole" / "molecules").glob("*.npz"))) == 6  # the first one failed
    monkeypatch.setattr(sampling, "reference_calculator", lambda name: parts)

    def killed(label, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampling.sample_isomers(tmp_path / "parts", qm9, n_molecules=5, n_frames=4, progress=killed)
    again = sampling.sample_isomers(tmp_path / "parts", qm9, n_molecules=5, n_frames=4)
    assert read_frames(again[0]).digest() == frames.digest()
    sets = held_out_isomers(*paths)
    assert [len(sets[kind]) for kind in KINDS] == [0, 4]


def test_the_split_keeps_molecules_apart():
    split = sampling.split_isomers(129, 40)
    assert (len(split.train), len(split.validation), len(split.test)) == (3090, 206, 824 + 1040)
    assert len(np.unique(np.concatenate(split))) == 129 * 40
    assert split.train.max() // 40 == 102  # the last molecules are unknown
    assert split.validation.max() // 40 == 102
    assert np.bincount(split.train // 40).min() == 30


def test_shipped_data_and_models_give_the_table(run, tmp_path):
    folder = config_folder("isomers")
    sets = held_out_isomers(folder / "frames.npz", folder / "split.npz")
    assert [len(sets[kind]) for kind in KINDS] == [824, 1040]
    assert "surrogate" in read_frames(folder / "frames.npz").info["theory"]
    code, _, err = run("reproduce", "isomers", "--json", "t.json")
    assert code == 0, err
    rows = {(r["trained_on"], r["kind"]): r for r in json.loads((tmp_path / "t.json").read_text())["rows"]}
    alone, both = ("energies alone", "energies and forces")
    energy, force = "energy_mae_kcal_mol", "force_mae_kcal_mol_ang"
    for kind in KINDS:
        assert rows[both, kind][force] < rows[alone, kind][force] < rows["mean predictor", kind][force]
        for name in (both, alone):
            assert rows[name, kind][energy] < rows["mean predictor", kind][energy]
    assert rows[both, KINDS[0]][energy] < rows[alone, KINDS[0]][energy]
    assert rows[both, KINDS[0]]["force_mae_kcal_mol_ang"] < rows[both, KINDS[1]]["force_mae_kcal_mol_ang"]


def test_small_trainings_end_in_rows(run, qm9, tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "reference_calculator", lambda name: Well())
    paths = sampling.sample_isomers(tmp_path / "data", qm9, n_molecules=5, n_frames=12)
    Split.load(paths[1], 60)
    rows = isomer_rows(tmp_path / "data", tmp_path / "runs", steps=3)
    assert [r.trained_on for r in rows] == ["energies alone"] * 2 + ["energies and forces"] * 2 + [
        "mean predictor"
    ] * 2
    assert all(np.isfinite(r.found).all() for r in rows)
    again = isomer_rows(tmp_path / "data", tmp_path / "runs", steps=3)
    assert [r.to_dict() for r in again] == [r.to_dict() for r in rows]
