"""Learning curves on QM9."""

import json

import pytest
from ase.build import molecule

from helpers import write_qm9
from schnet_calc.studies import learning_curve
from schnet_calc.studies.learning_curve import LearningPoint, configuration


@pytest.fixture
def qm9(tmp_path):
    names = ("H2O", "NH3", "CH4", "C2H6", "CH3OH", "HCN")
    molecules = []
    for k in range(30):
        atoms = molecule(names[k % len(names)])
        atoms.rattle(0.05, seed=k)
        molecules.append(atoms)
    return write_qm9(tmp_path / "qm9", molecules)


def test_networks_are_those_of_the_thesis():
    config = configuration("DTNN", 2, 1000, 50)
    assert (config.model.n_features, config.model.n_factors, config.model.n_interactions) == (30, 60, 2)
    assert config.training.steps == 50
    schnet = configuration("SchNet", 6, 110_000, 50)
    assert (schnet.model.n_features, schnet.model.cutoff_function) == (64, "none")


def test_what_is_done_is_read_and_the_rest_goes_on(run, qm9, tmp_path, monkeypatch, figures):
    base = configuration

    def small(*arguments):
        return base(*arguments).changed({"n_validation": 5, "n_test": 5, "batch_size": 4, "n_features": 8})

    monkeypatch.setattr(learning_curve, "configuration", small)
    arguments = ("reproduce", "learning-curve", "--data", qm9, "--interactions", "1", "--steps", "4")
    code, _, err = run(*arguments, "--sizes", "10", "-o", "curve", "--no-dtnn")
    assert code == 0, err
    (first,) = LearningPoint.read_all("curve")
    assert (first.architecture, first.n_interactions, first.n_train, first.steps) == ("SchNet", 1, 10, 4)
    code, _, err = run(*arguments, "--sizes", "10", "15", "-o", "curve", "--json", "c.json")
    assert code == 0, err
    points = json.loads((tmp_path / "c.json").read_text())["points"]
    assert points[0] == first.to_dict()
    assert {(p["architecture"], p["n_train"]) for p in points} == {
        ("SchNet", 10),
        ("SchNet", 15),
        ("DTNN", 10),
        ("DTNN", 15),
    }
    (axes,) = figures["learning_curve.png"].axes
    assert [list(line.get_xdata()) for line in axes.lines if line.get_label().startswith("SchNet")] == [
        [10, 15]
    ]
