"""Molecular dynamics: energy, temperature, and runs that go on."""

from dataclasses import replace

import ase
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.morse import MorsePotential
from ase.io.trajectory import Trajectory

from helpers import ethanol, graded_file, rattled
from schnet_calc import SchNetCalculator
from schnet_calc.simulate.md import MDSettings, degrees_of_freedom, first_momenta, run_md
from schnet_calc.simulate.relax import relax
from schnet_calc.simulate.replicas import run_replicas
from schnet_calc.studies.c20 import dodecahedron


def morse_dimer():
    return ase.Atoms("Ar2", [(0, 0, 0), (0, 0, 1.1)], momenta=[(0, 0, 0.3), (0, 0, -0.3)])


def test_md_streams_and_conserves_energy(tmp_path):
    settings = MDSettings(300, 0.2, timestep=0.5, thermostat="none", interval=4)
    run = run_md(morse_dimer(), MorsePotential(), settings, tmp_path)
    table = run.table()
    assert len(table["time_ps"]) == 101
    assert table["time_ps"][-1] == pytest.approx(0.2)
    assert np.ptp(table["total_ev"]) < 1e-2 * np.ptp(table["potential_ev"])
    with Trajectory(run.trajectory) as frames:
        assert len(frames) == 101


def test_nve_resumed_equals_uninterrupted(tmp_path):
    long = MDSettings(300, 0.1, thermostat="none", interval=5)
    short = MDSettings(300, 0.04, thermostat="none", interval=5)
    whole = run_md(morse_dimer(), MorsePotential(), long, tmp_path / "whole")
    run_md(morse_dimer(), MorsePotential(), short, tmp_path / "part")
    part = run_md(morse_dimer(), MorsePotential(), long, tmp_path / "part", resume=True)
    for key, values in whole.table().items():
        np.testing.assert_allclose(part.table()[key], values, atol=1e-8)


class Failing(MorsePotential):
    """Works for a number of evaluations."""

    def __init__(self, left):
        super().__init__()
        self.left = left

    def calculate(self, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("broken")
        super().calculate(*args, **kwargs)


Failing.__name__ = "MorsePotential"  # the run must look like the same one


@pytest.mark.parametrize("evaluations", [0, 3, 12])
def test_md_that_failed_early_resumes(tmp_path, evaluations):
    """Before the first frame, within the first interval, and later."""
    settings = MDSettings(300, 0.02, thermostat="none", interval=5)
    with pytest.raises(RuntimeError, match="broken"):
        run_md(morse_dimer(), Failing(evaluations), settings, tmp_path / "part")
    part = run_md(morse_dimer(), MorsePotential(), settings, tmp_path / "part", resume=True)
    whole = run_md(morse_dimer(), MorsePotential(), settings, tmp_path / "whole")
    for key, values in whole.table().items():
        np.testing.assert_allclose(part.table()[key], values, atol=1e-8)
    with Trajectory(part.trajectory) as frames:
        assert len(frames) == 9
        assert frames[0].get_potential_energy() < 0


def test_md_does_not_go_on_with_another_model(tmp_path, models):
    settings = MDSettings(300, 0.005, interval=5)
    atoms = ethanol()
    run_md(atoms, SchNetCalculator(models["float64"]), settings, tmp_path)
    with pytest.raises(ValueError, match="has model = "):
        run_md(atoms, SchNetCalculator(models["float32"]), settings, tmp_path, resume=True)
    with pytest.raises(ValueError, match="has atomic_numbers = "):
        run_md(atoms[:5], SchNetCalculator(models["float64"]), settings, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("atoms", "thermostat", "expected"),
    [
        (ethanol(), "langevin", 27),
        (ethanol(), "bussi", 21),
        (ase.Atoms("OCO", [(0, 0, -1.2), (0, 0, 0), (0, 0, 1.2)]), "none", 4),
        (ase.Atoms("Si4", np.eye(4, 3) * 2, cell=[9, 9, 9], pbc=True), "nose-hoover", 9),
        (ase.Atoms("C"), "none", 3),
    ],
)
def test_degrees_of_freedom(atoms, thermostat, expected):
    moving = first_momenta(atoms, 300, 0)
    assert degrees_of_freedom(moving, thermostat) == expected


def test_md_does_not_overwrite_or_mix(tmp_path):
    settings = MDSettings(300, 0.01, interval=5)
    run_md(morse_dimer(), MorsePotential(), settings, tmp_path)
    with pytest.raises(FileExistsError, match="resume it or choose another folder"):
        run_md(morse_dimer(), MorsePotential(), settings, tmp_path)
    other = MDSettings(400, 0.01, interval=5)
    with pytest.raises(ValueError, match=r"has temperature = 300, not 400"):
        run_md(morse_dimer(), MorsePotential(), other, tmp_path, resume=True)


@pytest.mark.parametrize("thermostat", ["langevin", "bussi", "nose-hoover"])
def test_thermostats_reach_the_temperature(tmp_path, thermostat):
    """Many independent oscillators: the mean kinetic energy has a small error."""
    grid = np.array(np.meshgrid(*[np.arange(3)] * 3)).reshape(3, -1).T * 40.0
    atoms = ase.Atoms("Ar54", np.concatenate([grid, grid + np.array([0, 0, 1.0])]))
    settings = MDSettings(300, 1.5, timestep=2, thermostat=thermostat, time_constant=30, interval=5)
    table = run_md(atoms, MorsePotential(rcut1=3, rcut2=4), settings, tmp_path).table()
    assert table["temperature_k"][50:].mean() == pytest.approx(300, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thermostat": "berendsen"}, "thermostat is one of"),
        ({"temperature": -1}, "temperature must be positive and finite, got -1"),
        ({"timestep": float("nan")}, "timestep must be positive"),
    ],
)
def test_bad_md_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        MDSettings(**{"temperature": 300, "time": 1, **options})


@pytest.mark.slow
def test_nve_drift_at_500_kelvin(tmp_path):
    """Float32, 0.5 fs, 20 ps, equilibrated at 500 K."""
    settings = MDSettings(500, 20.0, thermostat="none", interval=20)
    calculator = SchNetCalculator("c20", device="cpu", dtype="float32")
    atoms = relax(dodecahedron(), calculator, fmax=1e-2).atoms
    table = run_md(atoms, calculator, settings, tmp_path).table()
    slope = np.polyfit(table["time_ps"], table["total_ev"], 1)[0] / 20
    assert abs(slope) < 1e-5
    assert 400 < table["temperature_k"][20:].mean() < 600


def test_the_log_has_the_largest_grade(tmp_path):
    """Of the frame's atoms, in rows of older versions and lost ones too; not a number without grades."""
    atoms = rattled(molecule("CH3CH2OH"), 1)[0]
    path = graded_file(tmp_path / "m.pt", rattled(molecule("CH3CH2OH"), 40))
    settings = MDSettings(300, 0.004, timestep=1.0, interval=2, thermostat="langevin")
    calculator = SchNetCalculator(path, device="cpu")
    run = run_md(atoms, calculator, settings, tmp_path / "run")
    grades = run.table()["largest_grade"]
    assert grades[-1] == pytest.approx(calculator.results["grades"].max(), abs=1e-4)
    assert "largest_grade" not in run.averages()
    rows = run.log.read_text().splitlines()
    old = [row.rpartition(",")[0] for row in rows[:2]]  # a version without grades, and a row that was lost
    run.log.write_text("\n".join(old) + "\n")
    longer = run_md(atoms, calculator, replace(settings, time=0.006), tmp_path / "run", resume=True)
    found = longer.table()
    assert found["largest_grade"][:3] == pytest.approx(grades, abs=1e-4)
    assert found["potential_ev"][:3] == pytest.approx([float(r.split(",")[1]) for r in rows[1:]], abs=1e-6)
    images = rattled(molecule("CH3CH2OH"), 2, seed=4)
    bare = run_md(morse_dimer(), MorsePotential(), MDSettings(300, 0.001), tmp_path / "bare").table()
    assert np.isnan(bare["largest_grade"]).all()
    both = run_replicas(images, calculator, settings, tmp_path / "two").run
    assert np.isfinite(both.table()["largest_grade"]).all()
