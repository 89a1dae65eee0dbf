"""Runs without thermostat have the temperature that was asked for."""

import json

import ase
import numpy as np
import pytest
from ase.io.trajectory import Trajectory

from schnet_calc.simulate.equilibration import equilibration_time, stop_rigid_motion
from schnet_calc.simulate.md import run_md
from schnet_calc.simulate.md_files import MDSettings
from verification.spectra import Springs


def crystal(n=100):
    sites = 3.0 * np.array(np.unravel_index(np.arange(n), (10, 10, 10))).T
    return ase.Atoms(f"C{n}", sites), Springs(sites)


def test_a_run_without_thermostat_has_its_temperature(tmp_path):
    """From the minimum, vibrations would keep half of it."""
    atoms, springs = crystal()
    settings = MDSettings(300.0, 0.2, 1.0, "none", 30.0, interval=3)
    reached = run_md(atoms, springs, settings, tmp_path).averages()["temperature_k"]
    assert reached.value == pytest.approx(300.0, abs=5 * 300.0 / np.sqrt(3 * len(atoms)))
    cold = MDSettings(300.0, 0.2, 1.0, "none", interval=3, equilibrate=0.0)
    assert run_md(atoms, springs, cold, tmp_path / "cold").averages()["temperature_k"].value < 200


def test_the_equilibration_is_recorded_not_written(tmp_path):
    atoms, springs = crystal(27)
    settings = MDSettings(300.0, 0.03, 1.0, "none", 10.0, interval=3)
    steps = []
    run_md(atoms, springs, settings, tmp_path, progress=lambda step, _: steps.append(step))
    assert json.loads((tmp_path / "md.json").read_text())["equilibrate"] == 0.1
    assert steps[0] == -100
    assert [s for s in steps if s >= 0] == list(range(0, 31, 3))
    with Trajectory(tmp_path / "md.traj") as frames:
        assert len(frames) == 11
        assert np.abs(frames[0].positions - atoms.positions).max() > 0.01
        assert np.abs(frames[0].get_momenta().sum(axis=0)).max() < 1e-10
    longer = MDSettings(300.0, 0.06, 1.0, "none", 10.0, interval=3)
    run_md(atoms, springs, longer, tmp_path, resume=True)
    whole = run_md(atoms, springs, longer, tmp_path / "whole").table()
    part = run_md(atoms, springs, longer, tmp_path, resume=True).table()
    for name, values in whole.items():
        np.testing.assert_allclose(part[name], values, atol=1e-8)
    other = MDSettings(300.0, 0.06, 1.0, "none", 10.0, interval=3, equilibrate=0.5)
    with pytest.raises(ValueError, match=r"has equilibrate = 0\.1, not 0\.5"):
        run_md(atoms, springs, other, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("thermostat", "asked", "members", "momenta", "expected"),
    [
        ("none", None, 1, False, 1.0),
        ("none", 0.0, 1, False, 0.0),
        ("none", None, 1, True, 0.0),
        ("none", 0.3, 1, True, 0.3),
        ("langevin", None, 1, False, 0.0),
        ("langevin", None, 3, False, 1.0),
        ("bussi", 2.0, 1, False, 2.0),
    ],
)
def test_which_runs_are_equilibrated(thermostat, asked, members, momenta, expected):
    atoms, _ = crystal(8)
    if momenta:
        atoms.set_momenta(np.ones((8, 3)))
    settings = MDSettings(300.0, 1.0, thermostat=thermostat, equilibrate=asked)
    assert equilibration_time(settings, [atoms] * members) == pytest.approx(expected)


def test_the_log_has_the_means_of_replicas(tmp_path):
    """As the table has."""
    atoms, springs = crystal(8)
    one, _ = crystal(2)
    settings = MDSettings(300.0, 0.03, 1.0, "none", 10.0, interval=3)
    run = run_md(atoms, springs, settings, tmp_path, members=[one] * 4)
    with Trajectory(run.trajectory) as frames:
        energies = [[f.get_potential_energy(), f.get_kinetic_energy()] for f in frames]
    table = run.table()
    found = np.column_stack([table["potential_ev"], table["kinetic_ev"]])
    np.testing.assert_allclose(found, np.array(energies) / 4, atol=1e-8)
    text = run.log.read_text()
    lines = text.splitlines()
    sums = [",".join([lines[k].split(",")[0], "9", "9", "18", "300"]) for k in range(1, len(lines))]
    run.log.write_text("\r\n".join([lines[0], *sums]) + "\r\n")  # as a version before wrote sums
    run_md(atoms, springs, settings, tmp_path, resume=True, members=[one] * 4)
    assert run.log.read_text() == text


def test_rigid_motions_stop():
    atoms, _ = crystal(8)
    rng = np.random.default_rng(0)
    atoms.set_momenta(rng.normal(size=(8, 3)))
    stop_rigid_motion(atoms)
    np.testing.assert_allclose(atoms.get_momenta().sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(atoms.get_angular_momentum(), 0, atol=1e-10)


def test_a_bad_time_is_named():
    with pytest.raises(ValueError, match="equilibrate must not be negative, and finite, got -1"):
        MDSettings(300.0, 1.0, equilibrate=-1)
