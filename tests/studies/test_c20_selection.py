"""Table 5.6 in small: networks, what is done once, and where it is read."""

import json

import numpy as np
import pytest

from helpers import ethanol
from schnet_calc.analysis.errors import KCAL_MOL
from schnet_calc.studies import c20_selection
from schnet_calc.studies.c20_selection import PAPER, SelectedNetwork, configuration, read_rows
from schnet_calc.studies.reproduction.pieces import run_stage
from schnet_calc.studies.reproduction.stages import trained_stages

SMALL = {"n_train": 20, "n_validation": 5, "n_test": 10, "batch_size": 4, "n_blocks": 5, "n_gaussians": 8}


@pytest.fixture
def springs(tmp_path):
    """Frames of a molecule on springs, in the layout of MD17."""
    rng = np.random.default_rng(0)
    start = ethanol()
    moves = rng.normal(scale=0.05, size=(60, len(start), 3))
    energies, forces = 5.0 * (moves**2).sum(axis=(1, 2)) / KCAL_MOL, -10.0 * moves / KCAL_MOL
    path = tmp_path / "springs.npz"
    np.savez(path, R=start.positions + moves, z=start.numbers, E=energies[:, None], F=forces)
    return path


def test_networks_are_those_of_the_thesis():
    config = configuration(SelectedNetwork(3, 64, 0.001), 50, "c20.npz")
    assert (config.model.n_interactions, config.model.n_features) == (3, 64)
    assert (config.training.rho, config.training.steps, config.data.file) == (0.001, 50, "c20.npz")
    assert len(PAPER) == 7
    assert min(p.force for p in PAPER.values()) == PAPER[SelectedNetwork(6, 128, 0.0)].force


def test_what_is_done_is_read_and_shown(run, springs, tmp_path, monkeypatch):
    base = configuration
    monkeypatch.setattr(c20_selection, "configuration", lambda *a: base(*a).changed(SMALL))
    command = ("reproduce", "c20-selection", "--data", springs, "--steps", "4", "--json", "t.json")
    code, out, err = run(*command, "--rows", "7", "1", "-o", "runs/c20_selection")
    assert code == 0, err
    assert "0.401" in out
    rows = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert [(r["n_interactions"], r["rho"], r["steps"]) for r in rows] == [(6, 0.0, 4), (3, 0.01, 4)]
    made = (tmp_path / "runs/c20_selection").glob("*/point.json")
    written = {path: path.stat().st_mtime_ns for path in made}
    assert run(*command, "--rows", "7", "1", "-o", "runs/c20_selection")[0] == 0
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())


def test_the_page_reads_it(tmp_path):
    folder = tmp_path / "c20_selection"
    stage = trained_stages(tmp_path)["c20_selection"]
    assert "no trainings" in run_stage("s", stage, tmp_path, None, lambda *_: None)["missing"]
    for network in (SelectedNetwork(6, 128, 0.1), SelectedNetwork(3, 64, 0.01)):
        values = {**network._asdict(), "steps": 9, "energy": 0.5, "force": 0.25}
        place = folder / f"{network.rho}"
        place.mkdir(parents=True)
        (place / "point.json").write_text(json.dumps(values))
    assert [r.network for r in read_rows(folder)] == [
        SelectedNetwork(3, 64, 0.01),
        SelectedNetwork(6, 128, 0.1),
    ]
    (table,) = run_stage("s", stage, tmp_path, None, lambda *_: None)["found"]["Table 5.6"]
    assert table["rows"][0] == ["3", "64", "0.01", "0.500", "0.228", "0.250", "0.401", "9"]


def test_a_row_that_is_not_there_is_named(run, springs):
    code, _, err = run("reproduce", "c20-selection", "--data", springs, "--rows", "8")
    assert code != 0
    assert "networks 1 to 7, got 8" in err
