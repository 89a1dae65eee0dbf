"""Pair correlation functions with a known answer."""

import ase
import numpy as np
import pytest
from ase.build import bulk

from schnet_calc.analysis.liquids import pair_correlation


def gas(n_frames, n_atoms=60, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n_frames):
        symbols = "O" * (n_atoms // 3) + "H" * (n_atoms - n_atoms // 3)
        yield ase.Atoms(symbols, rng.uniform(0, 10, (n_atoms, 3)), cell=[10, 10, 10], pbc=True)


@pytest.mark.parametrize("elements", [("O", "O"), ("O", "H"), ("H", "O"), ("H", "H")])
def test_an_ideal_gas_has_no_correlation(elements):
    """Also beyond half the cell, where images of an atom are others' neighbours and its own."""
    found = pair_correlation([list(gas(60))], elements, high=4.9, bins=7)
    assert np.all(np.abs(found.g[2:] - 1.0) < 6 * found.error[2:] + 0.03)
    assert found.g[3:].mean() == pytest.approx(1.0, abs=0.03)


def test_a_crystal_has_its_shells():
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 2
    found = pair_correlation([[atoms] * 20], ("Na", "Cl"), high=5.0, bins=100)
    shells = 4 / 3 * np.pi * np.diff(np.linspace(0, 5, 101) ** 3)
    neighbours = (found.g * shells).sum() * 32 / atoms.get_volume()
    assert found.first_peak()[0] == pytest.approx(2.82, abs=0.03)
    assert neighbours == pytest.approx(6 + 8, rel=1e-6)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-9)


def test_beads_are_averaged():
    near, far = (ase.Atoms("OH", [[0, 0, 0], [r, 0, 0]], cell=[10, 10, 10], pbc=True) for r in (0.9, 1.1))
    both = pair_correlation([[near] * 5, [far] * 5], ("O", "H"), high=2.0, bins=20)
    alone = pair_correlation([[near] * 5], ("O", "H"), high=2.0, bins=20)
    assert both.g.max() == pytest.approx(0.5 * alone.g.max())


def test_what_makes_no_sense_is_named():
    frames = list(gas(5))
    with pytest.raises(ValueError, match="no pairs of O and Si"):
        pair_correlation([frames], ("O", "Si"))
    with pytest.raises(ValueError, match="4 frames are too few"):
        pair_correlation([frames[:4]], ("O", "O"))
    with pytest.raises(ValueError, match="periodic in three directions"):
        pair_correlation([[ase.Atoms("O2", [[0, 0, 0], [0, 0, 1]])] * 5], ("O", "O"))


def test_own_images_are_no_neighbours():
    """In a short cell an atom's image is always there: a spike that is no property of the liquid."""
    frames = list(gas(20))
    for atoms in frames:
        atoms.set_cell([4.0, 20.0, 20.0], scale_atoms=True)
    with pytest.raises(ValueError, match=r"high = 5 Å reaches an atom's own images, 4\.00 Å away"):
        pair_correlation([frames], ("O", "O"), high=5.0)
    skewed = [
        ase.Atoms("O2", [[0, 0, 0], [1, 1, 1]], cell=[[9, 0, 0], [8, 3, 0], [0, 0, 9]], pbc=True)
    ] * 20
    with pytest.raises(ValueError, match=r"3\.16 Å away"):  # the difference of two vectors
        pair_correlation([skewed], ("O", "O"), high=5.0)


def test_where_the_period_shows_is_said(caplog):
    pair_correlation([list(gas(20))], ("O", "O"), high=6.0)
    assert "beyond 5.00 Å, half of the cell's period" in caplog.text
