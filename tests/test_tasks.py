"""Relaxation, normal modes and MD against what is known exactly."""

import ase
import numpy as np
import pytest
from ase import units
from ase.calculators.morse import MorsePotential
from ase.io.trajectory import Trajectory
from ase.vibrations import Vibrations
from conftest import ethanol

from schnet_calc import SchNetCalculator
from schnet_calc.analysis import (
    bonds,
    clusters,
    diameters,
    distribution,
    nearest_neighbors,
    pair_distances,
    radial_distribution,
    shells,
)
from schnet_calc.simulate.md import MDSettings, degrees_of_freedom, first_momenta, run_md
from schnet_calc.simulate.modes import normal_modes, rigid_motions
from schnet_calc.simulate.relax import relax
from schnet_calc.studies.c20 import dodecahedron


@pytest.fixture
def c20():
    """The shipped model in float64."""
    return SchNetCalculator("c20", device="cpu", dtype="float64")


def test_relaxation_reaches_its_threshold(c20):
    start = dodecahedron()
    start.rattle(0.03, seed=4)
    before = start.positions.copy()
    result = relax(start, c20, fmax=4.3e-6, steps=2000)
    assert result.converged
    assert result.fmax < 4.3e-6
    assert result.energies[-1] < result.energies[0]
    np.testing.assert_array_equal(start.positions, before)


def test_relaxation_says_when_it_did_not_converge(c20):
    result = relax(dodecahedron(), c20, fmax=1e-6, steps=2)
    assert not result.converged
    assert result.steps == 2


@pytest.mark.parametrize(
    ("options", "message"), [({"optimizer": "magic"}, "optimizer is"), ({"fmax": 0}, "fmax must")]
)
def test_bad_relaxations_are_named(c20, options, message):
    with pytest.raises(ValueError, match=message):
        relax(dodecahedron(), c20, **options)


def test_modes_equal_finite_differences(c20, tmp_path):
    start = dodecahedron()
    start.rattle(0.05, seed=0)
    atoms = relax(start, c20, fmax=1e-5, steps=2000).atoms
    modes = normal_modes(atoms, c20)
    assert len(modes.frequencies) == 54
    assert modes.asymmetry < 1e-5
    assert modes.sum_rule < 1e-5
    atoms.calc = c20
    vibrations = Vibrations(atoms, delta=1e-3, name=str(tmp_path / "vib"), nfree=4)
    vibrations.run()
    numerical = np.real(vibrations.get_frequencies()[6:])
    np.testing.assert_allclose(modes.frequencies, numerical, atol=0.3)
    through_ase = np.real(modes.vibrations.get_frequencies())
    np.testing.assert_allclose(np.sort(through_ase)[6:], modes.frequencies, atol=1e-3)
    assert modes.zero_point_energy == pytest.approx(0.5 * modes.frequencies.sum() * units.invcm)


def test_modes_are_free_of_rigid_motion_and_orthonormal(c20):
    atoms = relax(dodecahedron(), c20, fmax=1e-3).atoms
    modes = normal_modes(atoms, c20)
    weighted = (modes.modes * np.sqrt(atoms.get_masses())[None, :, None]).reshape(54, 60)
    np.testing.assert_allclose(weighted @ weighted.T, np.eye(54), atol=1e-9)
    np.testing.assert_allclose(weighted @ rigid_motions(atoms).T, 0, atol=1e-8)


@pytest.mark.parametrize(
    ("atoms", "n_modes"),
    [
        (ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.2)]), 1),
        (ase.Atoms("OCO", [(0, 0, -1.2), (0, 0, 0), (0, 0, 1.2)]), 4),
        (ase.Atoms("OCO", [(0.5, 0, -1.0), (0, 0, 0), (0, 0, 1.2)]), 3),
    ],
)
def test_number_of_modes(models, atoms, n_modes):
    atoms.rotate(33, (1, 2, 3))
    modes = normal_modes(atoms, SchNetCalculator(models["float64"]))
    assert modes.frequencies.shape == (n_modes,)
    assert (np.diff(modes.frequencies) >= 0).all()


def test_imaginary_modes_are_negative(models):
    """A random surface has no minimum at ethanol: its Hessian's negative directions must show."""
    calculator = SchNetCalculator(models["float64"])
    modes = normal_modes(ethanol(), calculator)
    curvatures = np.linalg.eigvalsh(calculator.hessian(ethanol()))
    assert (modes.n_imaginary > 0) == (curvatures[0] < -1e-2)


def test_modes_refuse_what_has_none(models):
    calculator = SchNetCalculator(models["float64"])
    with pytest.raises(ValueError, match=r"ase\.phonons"):
        normal_modes(ase.Atoms("Si2", cell=[3, 3, 3], pbc=True), calculator)
    with pytest.raises(ValueError, match="at least two atoms, got 1"):
        normal_modes(ase.Atoms("C"), calculator)


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
    """Float32, 0.5 fs, 20 ps, started hot enough to settle near 500 K."""
    settings = MDSettings(1000, 20.0, thermostat="none", interval=20)
    calculator = SchNetCalculator("c20", device="cpu", dtype="float32")
    atoms = relax(dodecahedron(), calculator, fmax=1e-2).atoms
    table = run_md(atoms, calculator, settings, tmp_path).table()
    slope = np.polyfit(table["time_ps"], table["total_ev"], 1)[0] / 20
    assert abs(slope) < 1e-5
    assert 400 < table["temperature_k"][20:].mean() < 600


def test_dodecahedron_analysis():
    atoms = dodecahedron(1.45)
    pairs, lengths = bonds(atoms, 1.75)
    assert pairs.shape == (30, 2)
    np.testing.assert_allclose(lengths, 1.45)
    (shell,) = shells(atoms)
    assert len(shell.members) == 20
    distances = pair_distances([atoms] * 10)
    np.testing.assert_allclose(nearest_neighbors(distances, 20), 1.45)
    np.testing.assert_allclose(diameters(distances), 2 * shell.mean)


def test_clusters():
    groups = clusters(np.array([1.5, 1.40, 1.41, 1.2]), 0.05)
    assert [g.members.tolist() for g in groups] == [[3], [1, 2], [0]]
    assert clusters(np.array([]), 0.1) == []


def test_distribution_is_normalised_with_honest_errors():
    values = np.random.default_rng(0).normal(1.5, 0.1, (4000, 1))
    result = distribution(values, 1.0, 2.0, bins=50)
    assert (result.density * 0.02).sum() == pytest.approx(1.0)
    assert abs(result.mean - 1.5) < 4 * result.mean_error
    assert result.mean_error == pytest.approx(0.1 / np.sqrt(4000), rel=1.0)
    with pytest.raises(ValueError, match="3 frames are too few for 5 blocks"):
        distribution(values[:3], 1, 2)


def test_radial_distribution_counts_neighbours():
    distances = pair_distances([dodecahedron()] * 5)
    radial = radial_distribution(distances, 20, 5.0, bins=500)
    step = radial.centers[1] - radial.centers[0]
    assert (4 * np.pi * radial.centers**2 * radial.density * step).sum() == pytest.approx(19)
