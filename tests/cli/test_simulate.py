"""Relaxation, modes, dynamics and bands, as a user types them."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.units import GPa

from helpers import REFERENCES, random_network
from schnet_calc import SchNetCalculator
from schnet_calc.analysis.spectra import INVCM_FS
from schnet_calc.modelfile import save_model
from schnet_calc.simulate.modes import normal_modes
from schnet_calc.simulate.relax import relax


def test_relax_modes_md(run, cage, tmp_path, figures):
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
    assert len((tmp_path / "run" / "md.csv").read_text().splitlines()) == 10
    assert set(figures) == {
        f"{name}.{kind}" for name in ("relaxed", "modes", "md") for kind in ("png", "svg")
    }
    steps = figures["relaxed.png"].axes[0].lines[0].get_ydata()
    assert steps[0] == max(steps) > min(steps) > 0
    (sticks,) = figures["modes.svg"].axes[0].collections[1:]
    drawn = [segment[0][0] for segment in sticks.get_segments()]
    np.testing.assert_allclose(drawn, numbers["frequencies_cm1"])
    energies, temperatures = figures["md.png"].axes
    assert [line.get_label() for line in energies.lines] == ["potential", "total"]
    assert len(temperatures.lines[0].get_xdata()) == 9
    for name in ("relaxed", "modes", "run/md"):
        assert (tmp_path / f"{name}.png").is_file()
        assert (tmp_path / f"{name}.svg").is_file()


def test_md_tells_what_its_time_step_does(run, tmp_path):
    """By velocity Verlet's closed forms, with a warning above a percent."""
    ase.io.write(tmp_path / "h2co.xyz", molecule("H2CO"))
    settings = ("h2co.xyz", "--model", "h2co", "--temperature", "300", "--time", "0.002", "--interval", "1")
    modes = normal_modes(molecule("H2CO"), SchNetCalculator("h2co", dtype="float64")).frequencies
    for step, warned in (("0.25", False), ("1", True)):
        code, told, err = run("md", *settings, "--timestep", step, "-o", step, "--json", "n.json")
        assert code == 0
        assert ("a timestep of 1 fs is too long for vibrations up to" in err) == warned
        assert "beads" not in err
        half = np.pi * modes * float(step) / INVCM_FS
        numbers = json.loads((tmp_path / "n.json").read_text())
        expected = (0.5 / (1.0 - half**2) + 0.5).mean() - 1.0
        assert numbers["bias_of_timestep"] == pytest.approx(expected, rel=1e-4)
        shift = modes[-1] * (np.arcsin(half[-1]) / half[-1] - 1.0)
        assert numbers["line_shift_cm1"] == pytest.approx(shift, rel=1e-4)
        assert f"{expected:+.1%} of the vibrations' energy" in " ".join(told.split())


def test_crystals_move_under_pressure(run, tmp_path, figures):
    """Without an estimate of the time step's bias, which takes modes of a molecule."""
    ase.io.write(tmp_path / "si.cif", bulk("Si", cubic=True))
    settings = ("--temperature", "300", "--time", "0.004", "--timestep", "2", "--pressure", "0")
    where = ("-o", "npt", "--json", "npt.json")
    code, out, err = run("md", "si.cif", "--model", "silicon", *settings, *where)
    assert code == 0, err
    assert "bias" not in out
    assert json.loads((tmp_path / "npt.json").read_text())["doubtful_structures"] == 0


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


def test_a_path_between_two_minima(run, tmp_path, figures):
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
    drawn = figures["neb.png"].axes[0].lines[-1].get_ydata()
    assert len(drawn) == 5
    assert drawn.max() - drawn[0] == pytest.approx(values["barrier_ev"], abs=1e-3)
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


def test_a_structure_is_not_overwritten_by_its_numbers(run):
    code, _, err = run("relax", "start.xyz", "--model", "ethanol", "-o", "relaxed.json")
    assert code == 1
    assert "would be overwritten by the numbers" in err


def test_the_command_with_xtb(run, tmp_path, figures):
    pytest.importorskip("tblite", reason="the extra [xtb] is not installed")
    relaxed = relax(molecule("CH3CH2OH"), SchNetCalculator("ethanol", dtype="float64"), 1e-4).atoms
    ase.io.write(tmp_path / "relaxed.xyz", relaxed)
    code, out, err = run("modes", "relaxed.xyz", "--model", "ethanol", "--reference", "gfn2")
    assert code == 0, err
    assert "gfn2, same order" in out
    assert "smallest overlap" in out
    values = json.loads((tmp_path / "modes.json").read_text())
    assert values["comparison"]["reference"] == "gfn2"
    spectrum = figures["modes.png"].axes[0]
    assert [text.get_text() for text in spectrum.get_legend().get_texts()] == ["SchNet", "reference"]
    sticks = [c for c in spectrum.collections if hasattr(c, "get_segments")]
    assert [len(c.get_segments()) for c in sticks] == [21, 21]
