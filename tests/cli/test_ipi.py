"""Path integrals and i-PI, as a user types them."""

import json
import signal
import subprocess
import sys
import time
from functools import partial

import ase.io
import numpy as np
import pytest

from schnet_calc.ipi.server import Server
from schnet_calc.studies.c20 import dodecahedron

pytestmark = pytest.mark.slow

RATTLED = 0.02
"""Å, of the cage: little enough that the model knows its beads."""
SHORT = ("--model", "c20", "--temperature", "300", "--beads", "2", "--device", "cpu")


def test_pimd(run, cage, tmp_path, figures):
    """The numbers of both transports agree; a run is not overwritten."""
    numbers = {}
    for transport in ("direct", "socket"):
        arguments = (*SHORT, "--time", "0.1", "--stride", "1", "--transport", transport)
        code, out, err = run("pimd", cage, *arguments, "-o", transport, "--json", "n.json")
        assert code == 0, err
        assert "heat capacity" in out
        numbers[transport] = json.loads((tmp_path / "n.json").read_text())
        assert (tmp_path / transport / "simulation.pos_1.xyz").exists()
        assert (tmp_path / transport / "pimd.png").is_file()
        energies, temperatures = figures.pop("pimd.png").axes
        assert [line.get_label() for line in energies.lines] == ["potential", "conserved"]
        assert len(energies.lines[0].get_xdata()) == 201
        temperature = np.mean(temperatures.lines[0].get_ydata()[20:])
        assert temperature == pytest.approx(numbers[transport]["temperature"]["value"], rel=0.05)
    assert numbers["direct"] == numbers["socket"]
    assert 200 < numbers["direct"]["temperature"]["value"] < 700  # the rattled cage is hot
    code, _, err = run("pimd", cage, *arguments, "-o", "direct")
    assert code == 1
    assert "resume it or choose another folder" in err.replace("\n", " ")


def test_pimd_without_i_pi(run, cage, tmp_path, figures):
    """Several replicas, as many beads as they need; then longer."""
    arguments = (
        "pimd",
        cage,
        *SHORT[:4],
        "--device",
        "cpu",
        "--beads",
        "auto",
        "--replicas",
        "2",
        "-o",
        "a",
        "--on-doubt",
        "ignore",
    )
    code, out, err = run(*arguments, "--time", "0.02", "--stride", "1", "--json", "n.json")
    assert code == 0, err
    assert "2 replicas" in out
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert abs(numbers["bias_of_beads"]) < 0.01
    assert numbers["beads"] > 4
    code, _, err = run(*arguments, "--time", "0.022", "--stride", "1", "--resume")
    assert code == 0, err
    rows = np.loadtxt(tmp_path / "a" / "replica_1" / "simulation.out")
    np.testing.assert_array_equal(rows[:, 0], np.arange(45))
    assert len(figures.pop("pimd.png").axes) == 2
    code, _, err = run("pimd", cage, *SHORT, "--time", "0.01", "--replicas", "2", "--driver", "i-pi")
    assert code == 1
    assert "i-PI runs one replica at a time, got 2" in err.replace("\n", " ")


@pytest.mark.parametrize("driver", ["i-pi", "batch"])
def test_doubtful_beads_end_with_status_3(run, tmp_path, driver):
    atoms = dodecahedron()
    atoms.positions *= 1.3
    ase.io.write(tmp_path / "large.xyz", atoms)
    code, out, err = run("pimd", "large.xyz", *SHORT, "--time", "0.003", "--driver", driver)
    assert code == 3, err
    assert "doubtful structures" in out
    assert "structures lay outside of what the model knows" in err.replace("\n", " ")


def start(*arguments):
    """The command in a process that Ctrl-C reaches, which shells let their background jobs ignore."""
    return subprocess.Popen(
        [sys.executable, "-m", "schnet_calc.cli", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize(("transport", "stop"), [("direct", signal.SIGINT), ("socket", signal.SIGHUP)])
def test_interrupted_pimd_stops_everything_and_goes_on(run, cage, tmp_path, transport, stop):
    """In the middle of a long run, which then goes on for a shorter time."""
    arguments = ("pimd", cage, *SHORT, "--stride", "1", "--dtype", "float64")
    arguments += ("--transport", transport, "-o", tmp_path / "a")
    process = start(*arguments, "--time", "20")
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
    done = len(np.loadtxt(rows))
    assert run(*arguments, "--time", f"{(done + 100) / 2000}", "--resume")[0] == 0
    steps = np.loadtxt(rows)[:, 0]
    np.testing.assert_array_equal(steps, np.arange(done + 101))


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


def test_a_client_of_doubtful_beads_ends_with_status_3(run, tmp_path):
    """And counts them."""
    atoms = dodecahedron()
    atoms.positions *= 1.3
    ase.io.write(tmp_path / "large.xyz", atoms)
    where = ("--unix", "here", "--prefix", f"{tmp_path}/")
    arguments = (*SHORT[:-2], "--time", "0.003", "--transport", "socket", *where, "-o", "in")
    code, _, err = run("ipi-input", "large.xyz", *arguments)
    assert code == 0, err
    server = Server(tmp_path / "in", "input.xml")
    try:
        code, _, err = run("ipi", "c20", "in/init.extxyz", *where, "--json", "served.json")
        assert code == 3, err
        assert "structures lay outside of what the model knows" in err.replace("\n", " ")
        served = json.loads((tmp_path / "served.json").read_text())
        assert served["doubts"]["count"] == served["structures"] > 0
    finally:
        server.stop()
