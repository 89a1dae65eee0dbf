"""Rows of tables, and where their data are."""

from pathlib import Path

import pytest
import torch
from ase.build import molecule

from helpers import write_frames
from schnet_calc.modelfile import load_potential
from schnet_calc.studies.configs import data_file
from schnet_calc.studies.tables import ROWS, ThesisRow, configuration, evaluated_rows
from schnet_calc.training import RunConfig


def test_data_are_looked_for_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCHNET_CALC_DATA", str(tmp_path / "set"))
    row = ROWS["materials"][0]
    name = Path("materials_project") / "materials_project.extxyz.xz"
    assert Path(configuration(row, None).data.file) == tmp_path / "set" / name
    assert Path(configuration(row, None, tmp_path / "said").data.file) == tmp_path / "said" / name
    assert configuration(row, "mine.extxyz").data.file == "mine.extxyz"
    assert str(data_file("qm9pack")) == "qm9pack"


def test_parts_of_a_training_follow_each_other(tmp_path, monkeypatch):
    frames = [molecule("CH3OH") for _ in range(16)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed)
    data = write_frames(tmp_path / "emt.extxyz", frames)
    for part, start in enumerate(("", "runs/first/model.pt", "runs/second/checkpoint.safetensors"), 1):
        (tmp_path / f"{part}.toml").write_text(f"""
            [data]
            file = "not said"
            n_train = 8
            n_validation = 4
            [model]
            n_features = 8
            n_interactions = 1
            n_gaussians = 8
            cutoff = 3.0
            [training]
            steps = 10
            batch_size = 4
            validate_every = 5
            learning_rate = 1e-{2 + 6 * (part > 1)}
            start_from = "{start}"
        """)
    monkeypatch.setattr("schnet_calc.studies.tables.config_folder", lambda name: tmp_path)
    parts = tuple(f"methanol/{part}.toml" for part in (1, 2, 3))
    row = ThesisRow("0.0", "methanol", "methanol", parts, {"energy, kcal/mol": 1.0}, 40)
    monkeypatch.setitem(ROWS, "methanol", (row,))
    (tested,) = evaluated_rows("methanol", data, tmp_path / "runs")
    assert tested.found == {
        "energy, kcal/mol": pytest.approx(tested.evaluation.errors["energy"].mae * 23.06, rel=1e-3)
    }
    first, *others = (load_potential(tmp_path / f"runs/methanol/{k}/model.pt") for k in (1, 2, 3))
    for other in others:  # whose steps are too small to go anywhere
        torch.testing.assert_close(other.weights, first.weights, atol=1e-4, rtol=0)
    again = evaluated_rows("methanol", data, tmp_path / "runs")  # nothing is left to do
    assert again[0].found == tested.found


def test_all_configurations_are_there():
    for row in (row for rows in ROWS.values() for row in rows):
        found = [configuration(row, None, part=k) for k in range(len(row.configs))]
        assert all(isinstance(config, RunConfig) for config in found)
        assert all(config.training.start_from for config in found[1:])
        assert all(config.model == found[0].model for config in found)


def test_missing_data_and_tables_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"c20_500K\.npz"):
        evaluated_rows("c20", folder=tmp_path)
    with pytest.raises(ValueError, match="the tables are qm9, materials, c20, got 'gold'"):
        evaluated_rows("gold")
