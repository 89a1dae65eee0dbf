"""Ring polymers: estimators on exact samples of an oscillator."""

import numpy as np
from ase import units

from schnet_calc.analysis.path_integrals import harmonic_energy, path_integral_estimators
from verification import row

SECTION = "Path integrals"
KELVIN, QUANTUM = 300.0, 0.1
"""K, and the oscillator's quantum, eV."""


@row(
    SECTION,
    "energy of an oscillator with 4096 beads",
    "ħω / 2 coth(ħω / 2 k_B T)",
    tolerance=1e-6,
    unit="eV",
)
def many_beads():
    exact = 0.5 * QUANTUM / np.tanh(0.5 * QUANTUM / (units.kB * KELVIN))
    return harmonic_energy(QUANTUM, KELVIN, 4096), exact


@row(
    SECTION,
    "energy of 1, 2, 4, 8, 16 and 32 beads",
    "derivative of the ring polymer's partition function by β",
    tolerance=1e-7,
    unit="eV",
)
def few_beads():
    beta = 1.0 / (units.kB * KELVIN)

    def logarithm(b: float, beads: int) -> float:
        """Of the partition function, from the determinant of springs and potential."""
        matrix = (2.0 * (beads / b) ** 2 + QUANTUM**2) * np.eye(beads)
        for k in range(beads):
            matrix[k, (k + 1) % beads] -= (beads / b) ** 2
            matrix[(k + 1) % beads, k] -= (beads / b) ** 2
        return beads * np.log(beads / b) - 0.5 * np.linalg.slogdet(matrix)[1]

    beads, step = (1, 2, 4, 8, 16, 32), 1e-4 * beta
    theirs = [-(logarithm(beta + step, p) - logarithm(beta - step, p)) / (2 * step) for p in beads]
    return [harmonic_energy(QUANTUM, KELVIN, p) for p in beads], theirs


@row(
    SECTION,
    "energy by the centroid virial estimator, 100,000 exact samples of 8 beads",
    "closed form, 5 standard errors",
    tolerance=5.0,
    unit="standard errors",
)
def estimators():
    beads, beta, n = 8, 1.0 / (units.kB * KELVIN), 100_000
    springs = 2 * beads / beta * np.sin(np.pi * np.arange(beads) / beads)
    modes = np.random.default_rng(0).normal(size=(n, beads)) * np.sqrt(
        beads / beta / (QUANTUM**2 + springs**2)
    )
    spread = (modes[:, 1:] ** 2).sum(axis=1) / beads
    table = {
        "potential": 0.5 * QUANTUM**2 * (modes**2).mean(axis=1),
        "kinetic_cv": 0.5 / beta + 0.5 * QUANTUM**2 * spread,
        "kinetic_td": 0.5 * beads / beta - 0.5 * (springs**2 * modes**2).mean(axis=1),
        "r_gyration": np.sqrt(spread),
        "temperature": np.full(n, KELVIN),
    }
    energy = path_integral_estimators(table, n_atoms=1 / 3, temperature=KELVIN).energy
    return energy.value / energy.error, harmonic_energy(QUANTUM, KELVIN, beads) / energy.error
