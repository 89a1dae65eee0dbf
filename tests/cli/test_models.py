"""Training, evaluation and models, as a user types them."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import ethanol
from schnet_calc import SchNetCalculator
from schnet_calc.cli.console import DOUBTFUL


def test_info(run):
    code, out, _ = run("info", "c20")
    assert code == 0
    assert "SchNet" in out
    assert "elements" in out


def test_train_evaluate_export(run, tmp_path):
    rng = np.random.default_rng(0)
    positions = ethanol().positions + rng.normal(scale=0.05, size=(30, 9, 3))
    labels = {"E": rng.normal(size=30), "F": rng.normal(size=(30, 9, 3))}
    np.savez(tmp_path / "data.npz", R=positions, z=ethanol().numbers, **labels)
    size = ("--n-train", "16", "--n-validation", "4", "--n-features", "8", "--n-interactions", "1")
    code, out, err = run("train", "--data", "data.npz", *size, "--steps", "6", "-o", "run")
    assert code == 0, err
    assert "10 test frames" in out
    for name in ("model.pt", "learning_curve.png", "learning_curve.svg", "metrics.csv", "split.npz"):
        assert (tmp_path / "run" / name).exists()
    assert run("export", "run", "again.pt")[0] == 0
    code, out, _ = run("evaluate", "again.pt", "data.npz", "--split", "run/split.npz", "--json", "e.json")
    assert code == 0
    numbers = json.loads((tmp_path / "e.json").read_text())
    assert numbers["n_frames"] == 10
    for kind in ("energy_mae", "energy_rmse"):
        assert numbers[f"{kind}_kcal_mol"] == pytest.approx(numbers[f"{kind}_ev"] * 23.0605, rel=1e-4)
    for kind in ("force_mae", "force_rmse"):
        assert numbers[f"{kind}_kcal_mol_ang"] == pytest.approx(
            numbers[f"{kind}_ev_ang"] * 23.0605, rel=1e-4
        )
        assert numbers["mean_predictor"][f"{kind}_kcal_mol_ang"] > 0


def test_a_committee_from_training_to_its_doubts(run, tmp_path):
    rng = np.random.default_rng(0)
    positions = molecule("CH3CH2OH").positions + rng.normal(scale=0.02, size=(30, 9, 3))
    labels = {"E": rng.normal(size=30), "F": rng.normal(size=(30, 9, 3))}
    np.savez(tmp_path / "data.npz", R=positions, z=ethanol().numbers, **labels)
    size = ("--n-train", "16", "--n-validation", "4", "--n-features", "8", "--n-interactions", "1")
    code, out, err = run(
        *("train", "--data", "data.npz", *size, "--steps", "6", "--members", "3", "--bootstrap"),
        *("-o", "three", "--json", "c.json"),
    )
    assert code == 0, err
    assert "disagreement" in out
    values = json.loads((tmp_path / "c.json").read_text())
    assert len(values["models"]) == len(values["members_force_mae_ev_ang"]) == 3
    ase.io.write(tmp_path / "start.xyz", molecule("CH3CH2OH"))
    models = "+".join(values["models"])
    settings = ("start.xyz", "--model", models, "--temperature", "300", "--time", "0.01")
    code, _, err = run("md", *settings, "--max-forces-std", "1e-6", "--on-doubt", "stop", "-o", "a")
    assert code == 1
    assert "committee's forces on atom" in err.replace("\n", " ")
    doubtful = ("--max-forces-std", "1e-6", "--on-doubt", "odd.extxyz", "-o", "b")
    assert run("md", *settings, *doubtful)[0] == DOUBTFUL == 3
    assert len(ase.io.read(tmp_path / "odd.extxyz", ":")) > 5


def test_evaluation_of_stresses(run, tmp_path):
    atoms = bulk("Si")
    atoms.calc = SchNetCalculator("silicon")
    atoms.get_stress()
    ase.io.write(tmp_path / "si.extxyz", [atoms, atoms])
    code, out, err = run("evaluate", "silicon", "si.extxyz", "--stress-key", "stress", "--json", "e.json")
    assert code == 0, err
    assert "GPa" in out
    assert json.loads((tmp_path / "e.json").read_text())["stress_mae_gpa"] < 1e-3
