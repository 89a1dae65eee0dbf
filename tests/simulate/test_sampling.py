"""Structures drawn from modes."""

from dataclasses import replace

import numpy as np
import pytest
from ase import units

from schnet_calc.simulate.sampling import sample_modes


@pytest.mark.parametrize("quantum", [True, False])
def test_samples_have_the_variance_of_the_oscillators(ethanol_modes, quantum):
    kelvin, n = 300.0, 4000
    samples = sample_modes(ethanol_modes, kelvin, n, seed=1, quantum=quantum)
    weights = ethanol_modes.atoms.get_masses()[:, None]
    steps = np.array([a.positions - ethanol_modes.atoms.positions for a in samples])
    along = np.einsum("sni,kni->sk", steps * weights, ethanol_modes.modes)
    quanta = ethanol_modes.frequencies * units.invcm
    hbar = units._hbar / units._e * units.s
    omega = quanta / hbar
    expected = units.kB * kelvin / omega**2
    if quantum:
        expected = hbar / (2 * omega) / np.tanh(quanta / (2 * units.kB * kelvin))
    np.testing.assert_allclose(along.var(axis=0), expected, rtol=5 * np.sqrt(2 / n))
    energy = 0.5 * np.einsum(
        "sx,xy,sy->s", steps.reshape(n, -1), ethanol_modes.hessian, steps.reshape(n, -1)
    )
    assert energy.mean() == pytest.approx(0.5 * (expected * omega**2).sum(), rel=0.05)


def test_samples_need_a_minimum(ethanol_modes):
    assert sample_modes(ethanol_modes, 300, 0) == []
    saddle = replace(ethanol_modes, frequencies=ethanol_modes.frequencies - 300.0)
    with pytest.raises(ValueError, match="modes are imaginary: samples are drawn around minima"):
        sample_modes(saddle, 300, 5)
    with pytest.raises(ValueError, match="must be positive, got 0 K"):
        sample_modes(ethanol_modes, 0, 5)
