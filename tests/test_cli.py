"""The commands, as a user types them."""

import json

import ase.io
import numpy as np
import pytest
from conftest import REFERENCES, ethanol, random_network

from schnet_calc import cli
from schnet_calc.potential import save_model
from schnet_calc.tasks.c20 import dodecahedron


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Call the command line; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["schnet-calc", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


@pytest.fixture
def cage(tmp_path):
    atoms = dodecahedron()
    atoms.rattle(0.05, seed=0)
    ase.io.write(tmp_path / "cage.xyz", atoms)
    return tmp_path / "cage.xyz"


def test_info(run):
    code, out, _ = run("info", "c20")
    assert code == 0
    assert "SchNet" in out
    assert "elements" in out


def test_relax_modes_md(run, cage, tmp_path):
    code, _, err = run(
        "relax", cage, "--model", "c20", "--fmax", "1e-5", "-o", "relaxed.xyz", "--json", "r.json"
    )
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "r.json").read_text())["fmax_ev_ang"] < 1e-5
    code, _out, err = run("modes", "relaxed.xyz", "--model", "c20", "--json", "m.json")
    assert code == 0
    numbers = json.loads((tmp_path / "m.json").read_text())
    assert len(numbers["frequencies_cm1"]) == 54
    assert numbers["frequencies_cm1"] == sorted(numbers["frequencies_cm1"])
    assert numbers["zero_point_energy_ev"] > 0
    settings = ("--model", "c20", "--temperature", "300", "--timestep", "0.5", "-o", "run")
    assert run("md", "relaxed.xyz", *settings, "--time", "0.01")[0] == 0
    code, _, err = run("md", "relaxed.xyz", *settings, "--time", "0.02")
    assert code == 1
    assert "resume it or choose another folder" in err
    assert run("md", "relaxed.xyz", *settings, "--time", "0.02", "--resume")[0] == 0
    assert len((tmp_path / "run" / "md.csv").read_text().splitlines()) == 6
    for name in ("relaxed.png", "relaxed.svg", "modes.png", "modes.svg", "run/md.png", "run/md.svg"):
        assert (tmp_path / name).stat().st_size > 1000


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


def test_c20_page(run, tmp_path):
    code, _out, err = run("c20", "--time", "0.1", "-o", "study")
    assert code == 0, err
    page = (tmp_path / "study" / "index.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 4
    assert "surrogate" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    numbers = json.loads((tmp_path / "study" / "c20.json").read_text())
    assert len(numbers["frequency_errors_cm1"]) == 54
    assert numbers["classical"]["diameter"]["mean_ang"] == pytest.approx(4.1, abs=0.3)
    for stem in ("cage", "spectrum", "dynamics", "distributions"):
        assert (tmp_path / "study" / f"{stem}.png").stat().st_size > 10_000


def test_c20_does_not_mix_models(run, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text('{"weights_sha256": "another", "seed": 0}')
    code, _, err = run("c20", "--time", "0.1", "-o", "study")
    assert code == 1
    assert "holds a study with weights_sha256 = another" in err.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("info", "nothing"), "no shipped model of that name"),
        (("relax", "nowhere.xyz", "--model", "c20"), "nowhere.xyz"),
        (("train",), "no data: name a config file or give --data FILE"),
        (("train", "--data", "missing.npz"), "no data file missing.npz"),
        (("evaluate", "c20", "missing.npz"), "no data file missing.npz"),
        (("train", "bad.toml"), "unknown key 'n_feature' in [model]"),
        (("relax", "notes.foo", "--model", "c20"), "notes.foo"),
    ],
)
def test_errors_are_one_line(run, tmp_path, arguments, message):
    (tmp_path / "bad.toml").write_text("[model]\nn_feature = 3\n")
    (tmp_path / "notes.foo").write_text("no structure\n")
    code, _, err = run(*arguments)
    assert code == 1
    assert message in err.replace("\n", " ")
    assert "Traceback" not in err


def test_unconverged_relaxation_is_an_error(run, cage):
    code, _, err = run("relax", cage, "--model", "c20", "--steps", "1")
    assert code == 1
    assert "not converged after 1 steps" in err


def test_modes_off_the_minimum_warn(run, cage, tmp_path):
    save_model(tmp_path / "m.pt", random_network(), REFERENCES)
    code, _, err = run("modes", cage, "--model", "m.pt")
    assert code == 0
    assert "relax first" in err
