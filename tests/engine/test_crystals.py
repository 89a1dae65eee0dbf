"""Periodic structures of any shape: stress, lattice symmetry, open directions, smoothness."""

import ase
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_stress

from helpers import REFERENCES, random_network, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import save_model


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


def test_all_pairs_model_refuses_crystals(tmp_path):
    save_model(tmp_path / "all.pt", random_network(cutoff_function="none"), REFERENCES)
    atoms = bulk("Si")
    atoms.calc = SchNetCalculator(tmp_path / "all.pt")
    assert atoms.calc.engine.name == "compiled"
    with pytest.raises(ValueError, match="needs a cutoff"):
        atoms.get_potential_energy()
