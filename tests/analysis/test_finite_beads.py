"""Exact averages of finitely many beads, and of a finite time step."""

import numpy as np
import pytest
from ase import units

from schnet_calc.analysis.finite_beads import (
    HBAR,
    harmonic_averages,
    quantum_energies,
)
from verification.rings import harmonic_energy, harmonic_gyration, trotter_averages, trotter_gyration

QUANTUM, KELVIN = 0.1, 300.0


@pytest.mark.parametrize("beads", [1, 4, 16])
def test_three_ways_to_the_same_averages(beads):
    """By normal modes, by their sum in closed form, by powers of a matrix on a grid."""
    found = harmonic_averages(np.array([QUANTUM]), KELVIN, beads)
    assert found.energy[0] == pytest.approx(harmonic_energy(QUANTUM, KELVIN, beads), rel=1e-12)
    np.testing.assert_allclose(found.kinetic_virial, found.kinetic_thermodynamic, rtol=1e-12)
    hbar = units._hbar / units._e * units.s
    grid = np.linspace(-1.5, 1.5, 400)
    exact = trotter_averages(grid, 0.5 * (QUANTUM / hbar * grid) ** 2, 1.0, KELVIN, beads)
    assert exact.potential == pytest.approx(found.potential[0], rel=1e-5)
    assert exact.kinetic == pytest.approx(found.kinetic_virial[0], rel=1e-5)
    ends = [harmonic_averages(np.array([QUANTUM]), KELVIN + d, beads).energy[0] for d in (-0.5, 0.5)]
    assert exact.heat_capacity == pytest.approx((ends[1] - ends[0]) / units.kB, rel=1e-4)
    assert found.heat_capacity[0] == pytest.approx((ends[1] - ends[0]) / units.kB, rel=1e-4)


@pytest.mark.parametrize("beads", [1, 2, 4, 16])
def test_two_ways_to_a_radius_of_gyration(beads):
    """By Gaussian modes and by powers of a matrix on a grid."""
    grid = np.linspace(-0.9, 0.9, 61)
    found = trotter_gyration(grid, 0.5 * (QUANTUM / HBAR * grid) ** 2, 1.0, KELVIN, beads)
    assert found == pytest.approx(harmonic_gyration(QUANTUM, 1.0, KELVIN, beads), rel=1e-5)


def test_gaussian_modes_have_the_mean_radius_of_their_samples():
    """With a time step, too."""
    beads, step = 4, 1.0
    springs = 2 * beads * units.kB * KELVIN * np.sin(np.pi * np.arange(1, beads) / beads)
    shares = HBAR**2 * units.kB * KELVIN / (QUANTUM**2 + springs**2)
    modes = np.random.default_rng(0).normal(size=(200_000, 3, 3)) * np.sqrt(shares)
    radii = np.sqrt((modes**2).sum(axis=(1, 2)))
    exact = harmonic_gyration(QUANTUM, 1.0, KELVIN, beads)
    assert abs(radii.mean() - exact) < 4 * radii.std() / np.sqrt(len(radii))
    assert 1e-3 < harmonic_gyration(QUANTUM, 1.0, KELVIN, beads, step) / exact - 1 < 1e-2


def test_many_beads_are_quantum_mechanics():
    quanta = np.array([0.05, 0.2, 0.45])
    found = harmonic_averages(quanta, KELVIN, 4096)
    np.testing.assert_allclose(found.energy, quantum_energies(quanta, KELVIN), rtol=1e-4)


def test_a_time_step_of_one_bead_is_velocity_verlets():
    """Whose shadow oscillator is softer by a factor of 1 - (ωh/2)²."""
    step = 0.5
    shift = (0.37 / (units._hbar / units._e * 1e15) * step / 2) ** 2
    found = harmonic_averages(np.array([0.37]), KELVIN, 1, step)
    assert found.potential[0] == pytest.approx(0.5 * units.kB * KELVIN / (1 - shift), rel=1e-12)
    assert found.kinetic_virial[0] == pytest.approx(0.5 * units.kB * KELVIN, rel=1e-12)


def test_a_time_step_that_is_unstable_is_named():
    with pytest.raises(
        ValueError, match=r"timestep of 4 fs is too long: with 8 beads a vibration of 2984 cm⁻¹"
    ):
        harmonic_averages(np.array([0.37]), KELVIN, 8, 4.0)
