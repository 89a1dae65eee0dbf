"""The tables of the paper in small, and the check of a model on physics."""

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.build import molecule
from conftest import DATA, ethanol, needs_data, write_model
from test_cli import run

from schnet_calc.analysis import covalent_bonds
from schnet_calc.analysis.errors import KCAL_MOL, Errors
from schnet_calc.data import Frames, read_frames
from schnet_calc.data.fetch import fetch_md17
from schnet_calc.modelfile import load_potential
from schnet_calc.studies.baseline import train_dense
from schnet_calc.studies.md17 import PAPER, Paper, Row, check_names, configuration, find_data
from schnet_calc.studies.stability import Stability, check_stability
from schnet_calc.training.evaluate import Evaluation

__all__ = ["run"]  # a fixture
ROOT = Path(__file__).parents[1]
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


def test_the_table_trains_tests_and_goes_on(run, data, tmp_path):
    arguments = ("reproduce", "md17", "ethanol", "--data", data, "--configs", tmp_path / "configs")
    arguments += (
        "--n-train",
        "20",
        "-o",
        "runs",
        "--json",
        "t.json",
        "--seeds",
        "2",
        "--dense-steps",
        "30",
    )
    code, out, err = run(*arguments)
    assert code == 0, err
    assert "of 4 cells at or below the paper" in out
    assert "ethanol, 2 seeds: energy" in out
    first = json.loads((tmp_path / "t.json").read_text())
    assert set(first) == {"ethanol", "ethanol, seed 1"}
    assert first["ethanol"]["n_frames"] == 20
    errors = [first[name]["force_mae_kcal_mol_ang"] for name in first]
    assert errors[0] != errors[1]
    assert first["ethanol"]["dense_network"] != first["ethanol, seed 1"]["dense_network"]
    assert (tmp_path / "runs" / "learning_curves.png").stat().st_size > 5_000
    # Done already: the same table without training.
    assert run(*arguments)[0] == 0
    assert json.loads((tmp_path / "t.json").read_text()) == first


def test_a_killed_table_ends_as_if_it_had_not_been(run, data, tmp_path, monkeypatch):
    from schnet_calc.training import Run

    arguments = ("reproduce", "md17", "ethanol", "--data", data, "--configs", tmp_path / "configs")
    arguments += ("--n-train", "20", "--json", "t.json", "--dense-steps", "0")
    assert run(*arguments, "-o", "whole")[0] == 0
    whole = json.loads((tmp_path / "t.json").read_text())
    step = Run._one_step

    def killed(self):
        if self.step == 13:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Run, "_one_step", killed)
    assert run(*arguments, "-o", "parts")[0] == 130
    monkeypatch.setattr(Run, "_one_step", step)
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


def test_ablation_trains_every_variant(run, data, tmp_path):
    arguments = ("reproduce", "ablation", "--data", data, "--configs", tmp_path / "configs")
    code, out, err = run(*arguments, "--n-train", "20", "-o", "a", "--json", "a.json")
    assert code == 0, err
    found = json.loads((tmp_path / "a.json").read_text())
    assert [(v["rho"], v["force_weight"]) for v in found.values()][:3] == [(1, 0), (0, 1), (0.01, 1)]
    assert len({v["force_mae_ev_ang"] for v in found.values()}) == len(found)
    assert "energies alone" in out
    assert (tmp_path / "a" / "ablation.png").stat().st_size > 10_000


def springs_frames(tmp_path, n):
    rng = np.random.default_rng(1)
    start = ethanol()
    moves = rng.normal(scale=0.05, size=(n, len(start), 3))
    path = tmp_path / "springs.npz"
    np.savez(
        path,
        R=start.positions + moves,
        z=start.numbers,
        E=(5.0 * moves**2).sum(axis=(1, 2))[:, None] - 3000.0,
        F=-10.0 * moves,
        e_unit="eV",
    )
    return read_frames(path)


def test_a_dense_network_learns_and_is_of_one_molecule(tmp_path):
    frames = springs_frames(tmp_path, 300)
    train, test = frames.select(np.arange(200)), frames.select(np.arange(200, 300))
    found = train_dense(train, test, steps=150)
    mean = Errors.of(test.energies - train.energies.mean(), test.forces.ravel())
    errors = Errors.of(found.energies - test.energies, found.forces.ravel() - test.forces.ravel())
    assert errors.force_mae_ev_ang < 0.8 * mean.force_mae_ev_ang
    other = Frames(**{**vars(test), "numbers": np.roll(test.numbers, 1)})
    with pytest.raises(ValueError, match="frames of one molecule"):
        train_dense(train, other, steps=1)


@pytest.fixture
def authors(tmp_path):
    """A server with an original file, which holds the fingerprint of its arrays."""
    folder = tmp_path / "server"
    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = {"z": np.array([6, 1], np.uint8)}
    arrays |= {
        "R": rng.normal(size=(5, 2, 3)),
        "E": rng.normal(size=(5, 1)),
        "F": rng.normal(size=(5, 2, 3)),
    }
    digests = [hashlib.md5(arrays[k].ravel().tobytes()).digest() for k in ("z", "R", "E", "F")]
    np.savez(
        folder / "md17_benzene2017.npz", **arrays, md5=hashlib.md5(b"".join(digests)).hexdigest().encode()
    )
    arrays["F"][0] += 1.0
    np.savez(folder / "md17_ethanol.npz", **arrays, md5=hashlib.md5(b"".join(digests)).hexdigest().encode())
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_downloads_are_checked(authors, tmp_path):
    path = fetch_md17("benzene", tmp_path / "data", authors)
    assert path.name == "md17_benzene.npz"
    assert len(read_frames(path)) == 5
    assert (tmp_path / "data" / "SHA256SUMS").read_text().split()[1] == path.name
    assert fetch_md17("benzene", tmp_path / "data", "http://nowhere.invalid/") == path  # it is there
    with pytest.raises(ValueError, match=r"is damaged: its fingerprint is"):
        fetch_md17("ethanol", tmp_path / "data", authors)
    assert not (tmp_path / "data" / "md17_ethanol.npz").exists()
    np.savez(path, R=np.zeros(3))
    with pytest.raises(ValueError, match=r"md17_benzene.npz has the SHA-256 .* but SHA256SUMS says"):
        fetch_md17("benzene", tmp_path / "data", authors)


def test_names_and_files(tmp_path):
    assert check_names([]) == tuple(PAPER)
    with pytest.raises(ValueError, match=r"no molecule 'methane' .*there are benzene"):
        check_names(["methane"])
    with pytest.raises(FileNotFoundError, match=r"no md17_salicylic_acid.npz or md17_salicylic.npz in"):
        find_data(tmp_path, "salicylic_acid")
    (tmp_path / "md17_salicylic.npz").touch()
    assert find_data(tmp_path, "salicylic_acid").name == "md17_salicylic.npz"
    (tmp_path / "md17_benzene2017.npz").touch()
    assert find_data(tmp_path, "benzene").name == "md17_benzene2017.npz"
    with pytest.raises(FileNotFoundError, match=r"neither salicylic_acid.toml nor default.toml"):
        configuration(tmp_path, tmp_path, "salicylic_acid", 1000)


@pytest.mark.parametrize(("energy", "reached"), [(0.0799, True), (0.0801, False)])
def test_cells_are_compared_unrounded(energy, reached):
    errors = Errors.of(np.array([energy * KCAL_MOL]), np.array([0.39 * KCAL_MOL * (1 - 1e-9)]))
    evaluation = Evaluation(1, errors, errors, np.zeros(1), np.zeros(1))
    assert Row("ethanol", evaluation, Paper(0.08, 0.39)).reached == (reached, True)


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


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_tell_data_level_errors_and_command(name):
    card = (ROOT / "models" / f"{name}.md").read_text()
    training = load_potential(name).metadata.training
    errors = training["test_errors"]
    assert f"{errors['energy_mae_kcal_mol']:.3f}" in card
    assert f"{errors['force_mae_kcal_mol_ang']:.3f}" in card
    assert training["command"] in card
    assert "PBE+vdW-TS" in card


def test_a_shipped_molecule_is_stable(tmp_path):
    found = check_stability(molecule("CH3CH2OH"), "ethanol", tmp_path / "md", time=0.5, device="cpu")
    assert found.passed, found
    assert found.lowest_frequency > 100
    assert 1.0 < found.longest_stretch < 1.4


def test_a_molecule_that_flies_apart_fails(tmp_path):
    model = write_model(tmp_path / "m.pt")
    found = check_stability(ethanol(), model, tmp_path / "md", time=0.2, temperature=30_000, device="cpu")
    assert found.longest_stretch > 1.6
    assert not found.passed


def test_bonds_are_those_of_the_formula():
    bonds = covalent_bonds(molecule("CH3CH2OH"))
    assert len(bonds) == 8
    assert len(covalent_bonds(ase.Atoms("H2", [[0, 0, 0], [0, 0, 3]]))) == 0
    assert not Stability(True, 0, 10.0, 1.7, 1.0).passed
    assert not Stability(True, 1, -10.0, 1.1, 1.0).passed
