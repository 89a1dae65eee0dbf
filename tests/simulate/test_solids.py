"""A solid-state physicist's daily work, on the shipped silicon."""

import warnings

import ase
import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.eos import EquationOfState
from ase.filters import FrechetCellFilter
from ase.md.nose_hoover_chain import IsotropicMTKNPT
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS
from ase.phonons import Phonons

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.elasticity import elastic_averages, elastic_constants
from schnet_calc.simulate.crystal import equation_of_state
from schnet_calc.simulate.md import run_md
from schnet_calc.simulate.md_files import MDSettings
from schnet_calc.simulate.phonons import phonon_frequencies
from schnet_calc.simulate.relax import relax
from verification.crystals import phonopy_frequencies


@pytest.fixture(scope="module")
def silicon():
    return SchNetCalculator("silicon", device="cpu", dtype="float64")


@pytest.fixture(scope="module")
def relaxed(silicon):
    atoms = bulk("Si", a=5.3)
    atoms.calc = silicon
    assert BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5, steps=100)
    return atoms


def test_lattice_constant_and_bulk_modulus(relaxed, silicon):
    """PBE has 5.469 Å and 89 GPa."""
    constant = (4 * relaxed.get_volume()) ** (1 / 3)
    assert constant == pytest.approx(5.469, abs=0.01)
    volumes, energies = [], []
    for scale in np.linspace(0.97, 1.03, 9):
        atoms = bulk("Si", a=constant * scale)
        atoms.calc = silicon
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    volume, _, modulus = EquationOfState(volumes, energies).fit()
    assert volume == pytest.approx(relaxed.get_volume(), rel=2e-3)
    assert modulus / units.GPa == pytest.approx(89, rel=0.1)


def test_both_bulk_moduli_agree(relaxed, silicon):
    """A range of three percent in the lattice constant had 89.4 GPa where the curvature at the minimum is 86.7."""
    _, _, modulus = equation_of_state(relaxed, silicon)
    averages = elastic_averages(elastic_constants(relaxed, silicon) / units.GPa)
    assert modulus == pytest.approx(averages.hydrostatic, rel=2e-3)
    assert averages.bulk == pytest.approx(averages.hydrostatic, rel=1e-3)  # cubic


@pytest.mark.slow
def test_a_cell_that_is_not_cubic_changes_its_shape():
    """Ordered CuAu: at a fixed shape it is stiffer than under hydrostatic pressure."""
    alloy = ase.Atoms("CuAu", [[0, 0, 0], [0.5, 0.5, 0.5]], pbc=True)
    alloy.set_cell([2.75, 2.75, 3.6], scale_atoms=False)
    alloy.set_scaled_positions([[0, 0, 0], [0.5, 0.5, 0.5]])
    alloy *= (2, 2, 1)
    alloy = relax(alloy, EMT(), 1e-5, cell=True).atoms
    constants = elastic_constants(alloy, EMT()) / units.GPa
    _, _, modulus = equation_of_state(alloy, EMT(), fmax=1e-5)
    averages = elastic_averages(constants)
    assert modulus == pytest.approx(averages.hydrostatic, rel=5e-3)
    fixed = constants[:3, :3].mean()
    assert fixed > 1.01 * modulus


def test_elastic_constants(relaxed, silicon):
    """PBE has 153, 57 and 75 GPa; the bulk modulus is (C11 + 2 C12) / 3."""
    constants = elastic_constants(relaxed, silicon) / units.GPa
    np.testing.assert_allclose(constants, constants.T, atol=0.5)
    assert constants[0, 0] == pytest.approx(153, rel=0.15)
    assert constants[0, 1] == pytest.approx(57, rel=0.25)
    assert constants[3, 3] == pytest.approx(75, rel=0.3)
    np.testing.assert_allclose(np.diag(constants)[:3], constants[0, 0], atol=0.5)
    np.testing.assert_allclose(constants[:3, 3:], 0, atol=0.5)


def test_phonons_of_ase(relaxed, silicon, tmp_path):
    phonons = Phonons(relaxed, silicon, supercell=(4, 4, 4), delta=0.01, name=str(tmp_path / "phonons"))
    phonons.run()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        phonons.read(acoustic=True)
        gamma, x = (phonons.band_structure([q])[0] / units.invcm for q in ([0, 0, 0], [0.5, 0, 0.5]))
    np.testing.assert_allclose(gamma[:3], 0, atol=1.0)
    np.testing.assert_allclose(gamma[3:], gamma[3], atol=0.5)
    assert x.min() > 100  # stable
    np.testing.assert_allclose(x[[0, 2, 4]], x[[1, 3, 5]], atol=0.5)  # every mode is twofold at X


def test_corners_that_do_not_fit_are_interpolated(relaxed, silicon):
    """K and U are the same by symmetry, and were 169.2 and 168.7 cm⁻¹."""
    q = np.array([[3 / 8, 3 / 8, 3 / 4], [5 / 8, 1 / 4, 5 / 8]])
    k, u = phonon_frequencies(relaxed, silicon, (4, 4, 4), q)
    np.testing.assert_allclose(k, u, atol=1e-3)


def test_phonons_are_those_of_phonopy(relaxed, silicon):
    pytest.importorskip("phonopy")
    q = np.array([[0.5, 0, 0.5], [3 / 8, 3 / 8, 3 / 4], [0.1, 0.23, 0.3]])
    ours = phonon_frequencies(relaxed, silicon, (3, 3, 3), q)
    np.testing.assert_allclose(ours, phonopy_frequencies(relaxed, silicon, 3, q), atol=0.05)


def test_npt(relaxed):
    """The barostat of ASE finds the pressure that it is given, on the stress that it is told."""
    atoms = bulk("Si", cubic=True) * (2, 1, 1)
    thermalize_momenta(atoms, temperature_K=300, rng=np.random.default_rng(0))
    atoms.calc = SchNetCalculator("silicon", device="cpu")
    pressure = 2.0 * units.GPa
    dynamics = IsotropicMTKNPT(
        atoms,
        2 * units.fs,
        temperature_K=300,
        pressure_au=pressure,
        tdamp=50 * units.fs,
        pdamp=200 * units.fs,
    )
    volumes, pressures = [], []

    def note():
        volumes.append(atoms.get_volume())
        pressures.append(-atoms.get_stress(include_ideal_gas=True)[:3].mean() / units.GPa)

    dynamics.attach(note)
    dynamics.run(700)
    assert np.mean(pressures[250:]) == pytest.approx(2.0, abs=0.8)
    compressed = np.mean(volumes[250:]) / (8 * relaxed.get_volume())
    assert compressed == pytest.approx(1 - 2.0 / 90, abs=0.01)


def test_npt_as_a_run(relaxed, tmp_path):
    """A crystal under pressure is smaller, by its bulk modulus; the run goes on where it stopped."""
    atoms = bulk("Si", cubic=True, a=5.4687)
    calculator = SchNetCalculator("silicon", device="cpu")

    def settings(time, pressure):
        return MDSettings(300, time, 4.0, "nose-hoover", 50.0, 10, pressure=pressure)

    volumes = []
    for pressure in (0.0, 5.0):
        folder = tmp_path / str(pressure)
        run_md(atoms, calculator, settings(1.0, pressure), folder)
        run = run_md(atoms, calculator, settings(4.0, pressure), folder, resume=True)
        volumes.append(run.volume().value)
    assert volumes[1] / volumes[0] == pytest.approx(1 - 5.0 / 89, abs=0.015)
    with pytest.raises(ValueError, match="a pressure needs a crystal"):
        run_md(molecule("H2O"), calculator, settings(1.0, 0.0), tmp_path / "water")
    with pytest.raises(ValueError, match="asks for the thermostat nose-hoover, got langevin"):
        MDSettings(300, 1.0, thermostat="langevin", pressure=1.0)
