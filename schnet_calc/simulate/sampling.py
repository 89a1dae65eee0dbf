"""Structures to label and train on: harmonic vibrations around a minimum, as nuclei have them."""

import ase
import numpy as np
from ase import units

from schnet_calc.analysis.finite_beads import quantum_energies
from schnet_calc.simulate.modes import MODE_UNIT, NormalModes


def sample_modes(
    modes: NormalModes, temperature: float, n_samples: int, seed: int = 0, quantum: bool = True
) -> list[ase.Atoms]:
    """Independent structures from the harmonic distribution of a molecule's positions.

    With ``quantum`` a mode of angular frequency w has the variance ``hbar coth(hbar w / 2 kT) / 2 w`` in
    mass-weighted coordinates: what path integrals will visit, and classical dynamics at that temperature
    will not. A model for path integrals wants such structures among its training data.

    Parameters
    ----------
    modes : NormalModes
        Of a minimum, from any calculator.
    temperature : float
        K.
    n_samples : int
        How many.
    seed : int
        Of the random numbers.
    quantum : bool
        False for the classical distribution.

    Raises
    ------
    ValueError
        There are imaginary modes, the temperature is not positive, or ``n_samples`` is.
    """
    if modes.n_imaginary:
        raise ValueError(f"{modes.n_imaginary} modes are imaginary: samples are drawn around minima")
    if not temperature > 0 or n_samples < 0:
        raise ValueError(f"temperature and n_samples must be positive, got {temperature} K and {n_samples}")
    quanta = modes.frequencies * units.invcm
    energies = np.full_like(quanta, units.kB * temperature)
    if quantum:
        energies = quantum_energies(quanta, temperature)
    spreads = np.sqrt(energies) / (quanta / MODE_UNIT)
    rng = np.random.default_rng(seed)
    steps = np.einsum("sk,kni->sni", rng.normal(size=(n_samples, len(spreads))) * spreads, modes.modes)
    samples = []
    for step in steps:
        atoms = modes.atoms.copy()
        atoms.positions += step
        samples.append(atoms)
    return samples
