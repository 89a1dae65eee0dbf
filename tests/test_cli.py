"""The commands, as a user types them."""

import json
import signal
import subprocess
import sys
import time

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.units import GPa
from conftest import REFERENCES, ethanol, random_network

from schnet_calc import SchNetCalculator, cli
from schnet_calc.ipi.server import Server
from schnet_calc.modelfile import save_model
from schnet_calc.studies.c20 import dodecahedron


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


def test_bench(run, tmp_path):
    code, out, err = run("bench", "--atoms", "64", "--beads", "2", "--seconds", "0.02", "--json", "b.json")
    assert code == 0, err
    found = json.loads((tmp_path / "b.json").read_text())
    assert [t["n_atoms"] for t in found["timings"]] == [20, 160, 640, 2560, 64, 40]
    for timing in found["timings"]:
        assert timing["fused"] > timing["floor"] > 0
        assert (timing["script"] is None) == (timing["n_atoms"] > 216 or timing["name"].startswith("PIMD"))
        assert timing["over_floor"] > 1
        assert timing["peer"] is None
    assert (tmp_path / "bench.png").stat().st_size > 10_000
    assert "GFLOP/s" in out
    assert 100 < found["peak_memory"] < 2000
    code, _, err = run("bench", "--atoms", "65")
    assert code == 1
    assert "64, 216, 1000, 4000, 20000 atoms here, not 65" in err.replace("\n", " ")


def test_c20_does_not_mix_models(run, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text('{"weights_sha256": "another", "seed": 0}')
    code, _, err = run("c20", "--time", "0.1", "-o", "study")
    assert code == 1
    assert "holds a study with weights_sha256 = another" in err.replace("\n", " ")


SHORT = ("--model", "c20", "--temperature", "300", "--beads", "2", "--device", "cpu")


def test_pimd(run, cage, tmp_path):
    """The numbers of both transports agree; a run is not overwritten."""
    numbers = {}
    for transport in ("direct", "socket"):
        arguments = (*SHORT, "--time", "0.1", "--stride", "1", "--transport", transport)
        code, out, err = run("pimd", cage, *arguments, "-o", transport, "--json", "n.json")
        assert code == 0, err
        assert "heat capacity" in out
        numbers[transport] = json.loads((tmp_path / "n.json").read_text())
        assert (tmp_path / transport / "simulation.pos_1.xyz").exists()
        assert (tmp_path / transport / "pimd.png").stat().st_size > 10_000
    assert numbers["direct"] == numbers["socket"]
    assert 200 < numbers["direct"]["temperature"]["value"] < 700  # the rattled cage is hot
    code, _, err = run("pimd", cage, *arguments, "-o", "direct")
    assert code == 1
    assert "resume it or choose another folder" in err.replace("\n", " ")


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "schnet_calc.cli", *map(str, arguments)], stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("transport", "stop"),
    [("direct", signal.SIGINT), ("socket", signal.SIGHUP)],
)
def test_interrupted_pimd_stops_everything_and_goes_on(run, cage, tmp_path, transport, stop):
    arguments = ("pimd", cage, *SHORT, "--time", "0.3", "--stride", "1", "--dtype", "float64")
    arguments += ("--transport", transport, "-o", tmp_path / "a")
    process = start(*arguments)
    rows = tmp_path / "a" / "simulation.out"
    while not (rows.exists() and rows.read_text().count("\n") > 40):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert not left.stdout
    assert (tmp_path / "a" / "RESTART").exists()
    assert run(*arguments, "--resume")[0] == 0
    steps = np.loadtxt(rows)[:, 0]
    np.testing.assert_array_equal(steps, np.arange(601))


def test_input_and_client_by_hand(run, cage, tmp_path):
    """What ipi-input prints is what to type; here over TCP."""
    where = ("--host", "127.0.0.3", "--port", "31991")
    code, out, _ = run(
        "ipi-input", cage, *SHORT[:-2], "--time", "0.01", "--transport", "socket", *where, "-o", "in"
    )
    assert code == 0
    line = next(x for x in out.splitlines() if x.startswith("schnet-calc ipi"))
    assert line == "schnet-calc ipi c20 init.extxyz --host 127.0.0.3 --port 31991"
    server = Server(tmp_path / "in", "input.xml")
    try:
        code, _, err = run("ipi", "c20", "in/init.extxyz", *where)
        assert code == 0, err
        assert "41 structures in 21 batches" in err
        assert server.wait(30)
    finally:
        server.stop()


def test_the_prefix_of_sockets_is_in_input_and_command(run, cage, tmp_path):
    where = ("--unix", "here", "--prefix", f"{tmp_path}/")
    arguments = (*SHORT[:-2], "--time", "0.005", "--transport", "socket", *where, "-o", "in")
    code, out, err = run("ipi-input", cage, *arguments)
    assert code == 0, err
    line = next(x for x in out.splitlines() if x.startswith("schnet-calc ipi"))
    assert line == f"schnet-calc ipi c20 init.extxyz --unix here --prefix {tmp_path}/"
    server = Server(tmp_path / "in", "input.xml")
    try:
        code, _, err = run("ipi", "c20", "in/init.extxyz", *where)
        assert code == 0, err
        assert server.wait(30)
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("ipi", "c20", "cage.xyz", "--unix", "nobody", "--wait", "0.2"),
            "no server at UNIX socket /tmp/ipi_nobody",
        ),
        (
            ("ipi", "c20", "cage.xyz", "--prefix", "/tmp/a_"),
            "the prefix '/tmp/a_' is for UNIX sockets: name one with --unix",
        ),
        (
            ("ipi", "no.pt", "cage.xyz", "--unix", "nobody"),
            "could not load its model: no model file 'no.pt'",
        ),
        (("ipi", "c20", "cage.xyz", "--unix", "x" * 200), "at most 107 bytes"),
        (
            ("pimd", "cage.xyz", "--model", "c20", "--temperature", "0", "--time", "1"),
            "temperature must be positive",
        ),
        (("info", "nothing"), "no shipped model of that name"),
        (("relax", "nowhere.xyz", "--model", "c20"), "nowhere.xyz"),
        (("train",), "no data: name a config file or give --data FILE"),
        (("train", "--data", "missing.npz"), "no data file missing.npz"),
        (("evaluate", "c20", "missing.npz"), "no data file missing.npz"),
        (("train", "bad.toml"), "unknown key 'n_feature' in [model]"),
        (("relax", "notes.foo", "--model", "c20"), "notes.foo"),
    ],
)
def test_errors_are_one_line(run, cage, tmp_path, arguments, message):
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


def test_cells_are_relaxed_under_pressure(run, tmp_path):
    ase.io.write(tmp_path / "si.cif", bulk("Si", a=5.3))
    code, out, err = run(
        *("relax", "si.cif", "--model", "silicon", "--cell", "--pressure", "2", "--fmax", "1e-4"),
        *("-o", "squeezed.extxyz", "--json", "r.json"),
    )
    assert (code, err) == (0, "")
    assert "60.00, 60.00, 60.00°" in out
    atoms = ase.io.read(tmp_path / "squeezed.extxyz")
    np.testing.assert_allclose(atoms.get_stress()[:3] / GPa, -2.0, atol=0.02)


def test_a_path_between_two_minima(run, tmp_path):
    """A hydroxyl group turned by half a turn is its own mirror image: there and back cost the same."""
    first = molecule("CH3CH2OH")
    ase.io.write(tmp_path / "start.xyz", first)
    assert run("relax", "start.xyz", "--model", "ethanol", "--fmax", "5e-3", "-o", "first.xyz")[0] == 0
    last = ase.io.read(tmp_path / "first.xyz")
    carbon = next(n for n in (0, 1) if last.get_distance(n, 2) > 2.0)
    group = sorted(range(3, 9), key=lambda n: last.get_distance(carbon, n))[:3]
    turned = last[group]
    turned.rotate(120, last.positions[1 - carbon] - last.positions[carbon], center=last.positions[carbon])
    last.positions[group] = turned.positions
    ase.io.write(tmp_path / "last.xyz", last)
    code, out, err = run(
        *("neb", "first.xyz", "last.xyz", "--model", "ethanol", "--images", "3", "--json", "n.json")
    )
    assert code == 0, err
    assert "barrier" in out
    values = json.loads((tmp_path / "n.json").read_text())
    assert values["barrier_ev"] == pytest.approx(values["reverse_barrier_ev"], abs=2e-3)
    assert len(ase.io.read(tmp_path / "neb.traj", ":")) == 5
    assert (tmp_path / "neb.png").stat().st_size > 1000
    code, _, err = run("neb", "first.xyz", "last.xyz", "--model", "ethanol", "--steps", "1")
    assert code == 1
    assert "not converged after 1 steps" in err


def test_replicas(run, tmp_path):
    ase.io.write(tmp_path / "start.xyz", molecule("CH3CH2OH"))
    settings = ("--model", "ethanol", "--temperature", "300", "--replicas", "3", "-o", "run")
    assert run("md", "start.xyz", *settings, "--time", "0.01", "--json", "m.json")[0] == 0
    assert len(ase.io.read(tmp_path / "run" / "md.traj")) == 27
    assert run("md", "start.xyz", *settings, "--time", "0.02", "--resume")[0] == 0
    assert json.loads((tmp_path / "m.json").read_text())["doubtful_structures"] == 0
    code, _, err = run("md", "start.xyz", *settings, "--time", "0.01", "--thermostat", "bussi")
    assert code == 1
    assert "acts on each atom alone" in err
    code, _, err = run("md", "start.xyz", *settings[:-3], "0", "-o", "run", "--time", "1")
    assert "replicas must be at least 1, got 0" in err


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
    assert run("md", *settings, *doubtful)[0] == 0
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
