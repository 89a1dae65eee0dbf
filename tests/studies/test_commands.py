"""``schnet-calc reproduce``: the tables of the paper in small."""

import json

import numpy as np
import pytest

from helpers import DATA, ROOT, ethanol, needs_data
from schnet_calc.analysis.errors import KCAL_MOL
from schnet_calc.studies.md17 import PAPER

SHIPPED = [name for name in PAPER if (ROOT / "models" / f"{name}.pt").exists()]


SMALL = """
[data]
n_train = 20
n_validation = 10
[model]
n_features = 8
n_interactions = 1
n_gaussians = 8
[training]
steps = 20
batch_size = 4
validate_every = 10
optimizer = "soap"
"""


@pytest.fixture
def data(tmp_path):
    """Frames of ethanol on a surface of springs, in the layout and units of MD17."""
    rng = np.random.default_rng(0)
    start = ethanol()
    moves = rng.normal(scale=0.05, size=(50, len(start), 3))
    energies = 5.0 * (moves**2).sum(axis=(1, 2)) - 3000.0
    folder = tmp_path / "md17"
    folder.mkdir()
    np.savez(
        folder / "md17_ethanol.npz",
        R=start.positions + moves,
        z=start.numbers,
        E=energies[:, None] / KCAL_MOL,
        F=-10.0 * moves / KCAL_MOL,
        r_unit="Ang",
        e_unit="kcal/mol",
        name="ethanol",
        theory="springs",
    )
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "default.toml").write_text(SMALL)
    return folder


def test_the_table_trains_tests_and_goes_on(run, data, tmp_path, figures):
    arguments = ("reproduce", "md17", "ethanol", "--data", data, "--configs", tmp_path / "configs")
    arguments += ("--n-train", "20", "-o", "runs", "--json", "t.json", "--seeds", "2")
    code, out, err = run(*arguments)
    assert code == 0, err
    assert "of 4 cells at or below the paper" in out
    assert "ethanol, 2 seeds: energy" in out
    first = json.loads((tmp_path / "t.json").read_text())
    assert set(first) == {"ethanol", "ethanol, seed 1"}
    assert first["ethanol"]["n_frames"] == 20
    errors = [first[name]["force_mae_kcal_mol_ang"] for name in first]
    assert errors[0] != errors[1]
    (curves,) = figures["learning_curves.png"].axes
    assert [line.get_label() for line in curves.lines] == list(first)
    for line in curves.lines:
        assert list(line.get_xdata()) == [10, 20]
        assert min(line.get_ydata()) > 0
    # Done already: the same table without training.
    assert run(*arguments)[0] == 0
    assert json.loads((tmp_path / "t.json").read_text()) == first


def test_a_killed_table_ends_as_if_it_had_not_been(run, data, tmp_path, monkeypatch):
    from schnet_calc.training import Run

    arguments = ("reproduce", "md17", "ethanol", "--data", data, "--configs", tmp_path / "configs")
    arguments += ("--n-train", "20", "--json", "t.json")
    assert run(*arguments, "-o", "whole")[0] == 0
    whole = json.loads((tmp_path / "t.json").read_text())
    step = Run.make_step

    def killed(self):
        if self.step == 13:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Run, "make_step", killed)
    assert run(*arguments, "-o", "parts")[0] == 130
    monkeypatch.setattr(Run, "make_step", step)
    assert run(*arguments, "-o", "parts")[0] == 0
    assert json.loads((tmp_path / "t.json").read_text()) == whole


def test_frames_and_models_have_to_belong_together(run, data, tmp_path):
    arguments = (
        "reproduce",
        "md17",
        "ethanol",
        "--data",
        data,
        "--configs",
        tmp_path / "configs",
        "--evaluate-only",
    )
    code, _, err = run(*arguments, "--n-train", "20")
    assert code == 1
    assert "ethanol was trained on 1000 frames, not on 20" in err.replace("\n", " ")


def test_ablation_trains_every_variant(run, data, tmp_path, figures):
    arguments = ("reproduce", "ablation", "--data", data, "--configs", tmp_path / "configs")
    code, out, err = run(*arguments, "--n-train", "20", "-o", "a", "--json", "a.json")
    assert code == 0, err
    found = json.loads((tmp_path / "a.json").read_text())
    assert [(v["rho"], v["force_weight"]) for v in found.values()][:3] == [(1, 0), (0, 1), (0.01, 1)]
    assert len({v["force_mae_ev_ang"] for v in found.values()}) == len(found)
    assert "energies alone" in out
    energies, forces = figures["ablation.png"].axes
    for ax, key in ((energies, "energy_mae_kcal_mol"), (forces, "force_mae_kcal_mol_ang")):
        both, *alone = ax.lines
        weighted = [v for v in found.values() if v["rho"] > 0 and v["force_weight"] > 0]
        assert list(both.get_xdata()) == [v["rho"] for v in weighted]
        assert list(both.get_ydata()) == [v[key] for v in weighted]
        assert len(alone) == 2


@needs_data
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_at_or_below_the_paper(run, name, tmp_path):
    code, out, err = run(
        "reproduce",
        "md17",
        name,
        "--evaluate-only",
        "--data",
        DATA / "md17",
        "--configs",
        ROOT / "examples" / "md17",
    )
    assert code == 0, err
    assert "2 of 2 cells at or below the paper" in out
