"""Estimators against exact samples of an oscillator's ring polymer."""

import numpy as np
import pytest
from ase import units

from schnet_calc.analysis.path_integrals import (
    heat_capacity,
    path_integral_estimators,
)
from verification.rings import harmonic_energy


def ring_polymer(beads: int, temperature: float, quantum: float, n: int, seed: int = 0) -> dict:
    """Exact samples of one oscillator's ring polymer along x, as the columns i-PI would write."""
    beta = 1 / (units.kB * temperature)
    springs = 2 * beads / beta * np.sin(np.pi * np.arange(beads) / beads)
    rng = np.random.default_rng(seed)
    # Coordinates in units where the potential is quantum² q² / 2 and the weight exp(-beta/P ...).
    modes = rng.normal(size=(n, beads)) * np.sqrt(beads / beta / (quantum**2 + springs**2))
    potential = 0.5 * quantum**2 * (modes**2).mean(axis=1)
    spring = 0.5 * (springs**2 * modes**2).mean(axis=1)
    virial = 0.5 / beta + 0.5 * quantum**2 * (modes[:, 1:] ** 2).sum(axis=1) / beads
    thermodynamic = 0.5 * beads / beta - spring
    return {
        "potential": potential,
        "kinetic_cv": virial,
        "kinetic_td": thermodynamic,
        "r_gyration": np.sqrt((modes[:, 1:] ** 2).sum(axis=1) / beads),
        "temperature": np.full(n, temperature),
    }


@pytest.mark.parametrize("beads", [1, 2, 8, 32])
def test_estimators_of_an_oscillator_are_exact(beads):
    temperature, quantum = 300.0, 0.1
    table = ring_polymer(beads, temperature, quantum, 200_000)
    # One degree of freedom, a third of an atom.
    found = path_integral_estimators(table, n_atoms=1 / 3, temperature=temperature)
    exact = harmonic_energy(quantum, temperature, beads)
    step = 0.5
    slope = (
        harmonic_energy(quantum, temperature + step, beads)
        - harmonic_energy(quantum, temperature - step, beads)
    ) / (2 * step * units.kB)
    for estimate, expected in ((found.energy, exact), (found.heat_capacity, slope)):
        assert abs(estimate.value - expected) < 5 * estimate.error
        assert estimate.error < 0.1 * max(expected, 0.1)
    assert abs(found.kinetic_thermodynamic.value - found.kinetic_virial.value) < 5 * (
        found.kinetic_thermodynamic.error + 1e-12
    )


def test_the_primitive_approximation_lies_between_classical_and_quantum():
    temperature, quantum = 300.0, 0.1
    thermal = units.kB * temperature
    assert harmonic_energy(quantum, temperature, 1) == pytest.approx(thermal)
    exact = quantum / 2 / np.tanh(quantum / 2 / thermal)
    assert harmonic_energy(quantum, temperature, 4096) == pytest.approx(exact, rel=1e-4)


def test_too_few_values_for_blocks():
    with pytest.raises(ValueError, match="too few"):
        heat_capacity([np.ones(3)], [np.ones(3)], 1, 300.0)
