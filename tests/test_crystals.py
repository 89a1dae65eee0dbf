"""Periodic structures: stress, lattice symmetry, smoothness, and a solid-state physicist's daily work."""

import warnings

import ase
import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_stress
from ase.eos import EquationOfState
from ase.filters import FrechetCellFilter
from ase.md.nose_hoover_chain import IsotropicMTKNPT
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS
from ase.phonons import Phonons
from conftest import write_model

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.elasticity import elastic_constants


def random_crystal(seed):
    """One to six atoms in a skewed cell, of either handedness, maybe so small that atoms see themselves."""
    rng = np.random.default_rng(seed)
    n_atoms = int(rng.integers(1, 7))
    cell = np.diag(rng.uniform(2.2, 6.0, 3)) @ (np.eye(3) + rng.uniform(-0.35, 0.35, (3, 3)))
    if seed % 2:
        cell[[0, 1]] = cell[[1, 0]]
    numbers = rng.choice([1, 6, 8, 14], n_atoms)
    return ase.Atoms(numbers, scaled_positions=rng.uniform(size=(n_atoms, 3)), cell=cell, pbc=True)


def apart(atoms, shortest=1.0):
    """Whether no two atoms are closer than that (Å): else curvatures make differences no oracle."""
    images = (atoms * (3, 3, 3)).get_all_distances()
    return images[images > 0].min() > shortest


def crystals(count):
    """So many random crystals that no oracle fails at, both handednesses among them."""
    found, seed = [], 0
    while len(found) < count:
        atoms = random_crystal(seed)
        if apart(atoms):
            found.append(atoms)
        seed += 1
    return found


@pytest.mark.parametrize("engine", ["script", "fused"])
def test_stress_on_a_hundred_cells(models, engine):
    calculator = SchNetCalculator(models["float64"], device="cpu", engine=engine)
    handed = set()
    for atoms in crystals(100):
        atoms.calc = calculator
        stress = atoms.get_stress()
        numerical = calculate_numerical_stress(atoms, eps=1e-5, force_consistent=False)
        np.testing.assert_allclose(stress, numerical, atol=1e-6)
        handed.add(bool(np.linalg.det(atoms.cell.array) > 0))
    assert handed == {True, False}


@pytest.mark.parametrize("engine", ["script", "fused"])
def test_supercells_and_lattice_shifts(models, engine):
    calculator = SchNetCalculator(models["float64"], device="cpu", engine=engine)
    rng = np.random.default_rng(0)
    for atoms in crystals(15):
        repeats = tuple(rng.integers(1, 3, 3))
        shifted = atoms.copy()
        shifted.positions += rng.integers(-4, 5, (len(atoms), 3)) @ atoms.cell.array
        one, several, other = calculator.evaluate([atoms, atoms * repeats, shifted])
        n = len(atoms) * int(np.prod(repeats))
        assert abs(several.energy - one.energy * n / len(atoms)) < 1e-8 * n
        np.testing.assert_allclose(several.stress, one.stress, atol=1e-9)
        assert other.energy == pytest.approx(one.energy, abs=1e-9)
        np.testing.assert_allclose(other.forces, one.forces, atol=1e-9)
        np.testing.assert_allclose(other.stress, one.stress, atol=1e-10)


@pytest.mark.parametrize("pbc", [(1, 0, 0), (0, 1, 1), (1, 0, 1)], ids=str)
def test_mixed_periodicity(models, engine, pbc):
    """Open directions are open: the same as a cell with vacuum there; and there is no stress."""
    calculator = SchNetCalculator(models["float64"], device="cpu", engine=engine)
    for atoms in crystals(8):
        atoms.pbc = pbc
        padded = atoms.copy()
        for axis in np.flatnonzero(~atoms.pbc):
            others = [padded.cell.array[k] for k in range(3) if k != axis]
            normal = np.cross(*others)
            padded.cell[axis] = 60.0 * normal / np.linalg.norm(normal)
        padded.pbc = True
        a, b = calculator.evaluate([atoms, padded])
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-8)
        assert a.volume == 0.0


@pytest.mark.parametrize("engine", ["script", "fused"])
def test_smooth_where_pairs_enter(models, engine):
    """Along a compression many pairs cross the cutoff; energy, forces and stress know nothing of it."""
    calculator = SchNetCalculator(models["float64"], device="cpu", engine=engine)
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=1)
    scales = np.linspace(0.97, 1.03, 601)
    images = []
    for s in scales:
        image = atoms.copy()
        image.set_cell(atoms.cell.array * s, scale_atoms=True)
        images.append(image)
    found = calculator.evaluate(images)
    for values in (
        [p.energy for p in found],
        [p.forces[3, 1] for p in found],
        [p.stress[2] for p in found],
    ):
        jumps = np.abs(np.diff(values, n=2))
        assert jumps.max() < 20 * np.median(jumps) + 1e-7
    slope = np.gradient([p.energy for p in found], scales)
    virial = np.array([np.trace(p.virial) for p in found]) / scales
    np.testing.assert_allclose(slope[1:-1], virial[1:-1], rtol=1e-3, atol=1e-3)


def test_all_pairs_say_what_they_need(tmp_path):
    calculator = SchNetCalculator(write_model(tmp_path / "m.pt", cutoff_function="none"))
    with pytest.raises(ValueError, match="this model needs a cutoff"):
        calculator.evaluate([bulk("Si")])
    assert np.isfinite(calculator.evaluate([ase.Atoms("CO", [(0, 0, 0), (0, 0, 40)])])[0].energy)


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
