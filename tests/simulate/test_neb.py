"""Bands between minima."""

import ase
import ase.io
import pytest
from ase.build import molecule
from ase.mep import NEB
from ase.optimize import FIRE

from helpers import ethanol
from schnet_calc import SchNetCalculator
from schnet_calc.simulate.neb import relax_band
from schnet_calc.simulate.relax import relax
from schnet_calc.simulate.replicas import share_batch


def exchange():
    """A hydroxyl group that turns by 120 degrees: the same molecule at both ends."""
    calculator = SchNetCalculator("ethanol", dtype="float64")
    first = relax(molecule("CH3CH2OH"), calculator, fmax=5e-3).atoms
    last = first.copy()
    carbon = next(n for n in (0, 1) if first.get_distance(n, 2) > 2.0)  # of the methyl group
    hydrogens = sorted((first.get_distance(carbon, n), n) for n in range(3, 9))[:3]
    group = [n for _, n in hydrogens]
    axis = first.positions[1 - carbon] - first.positions[carbon]
    turned = first[group]
    turned.rotate(120, axis, center=first.positions[carbon])
    last.positions[group] = turned.positions
    return first, last, calculator


def test_a_band_over_a_barrier():
    """The methyl group of ethanol turns: symmetric ends, a barrier of about 3 kcal/mol."""
    first, last, calculator = exchange()
    band = relax_band(first, last, calculator, n_images=5, fmax=0.05)
    assert band.converged
    assert abs(band.energies[-1]) < 1e-3
    assert 0.08 < band.barrier < 0.2
    assert int(band.energies.argmax()) == 3
    values = band.to_dict()
    assert values["barrier_ev"] == pytest.approx(values["reverse_barrier_ev"], abs=1e-3)


def test_a_band_is_one_batch(counted):
    calculator, sizes = counted
    images = [ethanol() for _ in range(6)]
    for k, atoms in enumerate(images):
        atoms.rattle(0.02, seed=k)
    share_batch(images, calculator)
    with FIRE(NEB(images, method="improvedtangent"), logfile=None) as dynamics:
        dynamics.run(fmax=1e-9, steps=5)
    assert sizes[0] == 6
    assert sizes[1:] == [4] * 5  # the ends stand still


@pytest.mark.parametrize(
    ("last", "options", "message"),
    [
        (molecule("CH3COOH"), {}, "same atoms in the same order"),
        (ase.Atoms(molecule("CH3CH2OH"), cell=[9, 9, 9], pbc=True), {}, "same cell"),
        (molecule("CH3CH2OH"), {"n_images": 1}, "at least two images"),
        (molecule("CH3CH2OH"), {"fmax": -1.0}, "fmax must be positive"),
        (molecule("CH3CH2OH"), {}, "the same structure"),
    ],
)
def test_bad_bands_are_named(models, last, options, message):
    with pytest.raises(ValueError, match=message):
        relax_band(molecule("CH3CH2OH"), last, SchNetCalculator(models["float64"]), **options)
