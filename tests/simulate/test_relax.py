"""Relaxations, alone and side by side."""

import numpy as np
import pytest
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from helpers import mixed_structures
from schnet_calc import SchNetCalculator
from schnet_calc.simulate.relax import relax, relax_many
from schnet_calc.simulate.replicas import share_batch
from schnet_calc.studies.c20 import dodecahedron


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


@pytest.mark.parametrize("optimizer", ["BFGS", "FIRE", "LBFGS", "BFGSLineSearch"])
def test_side_by_side_is_like_alone(models, optimizer):
    """Every structure takes the steps that it takes alone, and leaves when it is done."""
    options = {"fmax": 0.05, "steps": 12, "optimizer": optimizer}
    calculator = SchNetCalculator(models["float64"], device="cpu")
    images = mixed_structures()
    before = [a.positions.copy() for a in images]
    for atoms, found in zip(images, relax_many(images, calculator, **options), strict=True):
        alone = relax(atoms, calculator, **options)
        assert (found.steps, found.converged) == (alone.steps, alone.converged)
        np.testing.assert_allclose(found.atoms.positions, alone.atoms.positions, atol=1e-6)
        np.testing.assert_allclose(found.energies, alone.energies, atol=1e-6)
        assert found.fmax == pytest.approx(alone.fmax, abs=1e-4)
    for atoms, positions in zip(images, before, strict=True):
        np.testing.assert_array_equal(atoms.positions, positions)


def test_one_batch_per_step(counted):
    calculator, sizes = counted
    found = relax_many(mixed_structures()[:3], calculator, fmax=0.2, steps=6)
    assert sizes[0] == 3
    assert len(sizes) == 1 + max(r.steps for r in found)


def strained():
    cells = [bulk("Si", a=a) for a in (5.2, 5.5, 5.7)]
    for k, atoms in enumerate(cells):
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * np.eye(3, k=1)), scale_atoms=True)
        atoms.rattle(0.03, seed=k)
    return cells


def test_cells_relax_side_by_side():
    calculator = SchNetCalculator("silicon", dtype="float64")
    found = relax_many(strained(), calculator, fmax=1e-3, steps=200, cell=True)
    assert all(r.converged for r in found)
    volumes = [r.atoms.get_volume() for r in found]
    np.testing.assert_allclose(volumes, volumes[0], rtol=1e-3)
    alone = relax(strained()[0], calculator, fmax=1e-3, steps=200, cell=True)
    np.testing.assert_allclose(found[0].atoms.cell, alone.atoms.cell, atol=1e-4)
    assert np.abs(found[0].atoms.get_stress()).max() < 1e-3


def test_pressure_is_that_of_the_cell():
    calculator = SchNetCalculator("silicon", dtype="float64")
    squeezed = relax(bulk("Si"), calculator, fmax=1e-5, cell=True, pressure=0.03)
    np.testing.assert_allclose(squeezed.atoms.get_stress()[:3], -0.03, atol=1e-4)
    free = relax(bulk("Si"), calculator, fmax=1e-5, cell=True)
    assert squeezed.atoms.get_volume() < 0.99 * free.atoms.get_volume()


def test_filters_and_single_structures_in_a_batch(models):
    """What isn't a bare structure is evaluated right too, if not in one batch."""
    calculator = SchNetCalculator("silicon", dtype="float64")
    crystals = strained()
    share_batch(crystals, calculator)
    BFGS(FrechetCellFilter(crystals[0]), logfile=None).run(fmax=0.01, steps=3)
    expected = calculator.evaluate(crystals)
    for atoms, prediction in zip(crystals, expected, strict=True):
        assert atoms.get_potential_energy() == pytest.approx(prediction.energy, abs=1e-9)
    other = crystals[1].copy()
    other.rattle(0.1, seed=9)
    other.calc = crystals[1].calc
    assert other.get_potential_energy() == pytest.approx(calculator.evaluate([other])[0].energy, abs=1e-9)
