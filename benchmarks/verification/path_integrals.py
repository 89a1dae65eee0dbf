"""Ring polymers: estimators on exact samples of an oscillator."""

import numpy as np
from ase import units

from schnet_calc.analysis.path_integrals import path_integral_estimators
from schnet_calc.analysis.spectra import KM_MOL, infrared_spectrum, vibrational_spectrum
from schnet_calc.simulate.ring_polymers import HBAR, Bath, Integrator
from verification import row
from verification.rings import harmonic_energy

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


def harmonic(places):
    """Energies and forces of oscillators of mass 1 amu whose quantum is :data:`QUANTUM`."""
    constant = (QUANTUM / HBAR) ** 2
    return 0.5 * constant * (places**2).sum(axis=(2, 3)), -constant * places


def spectrum_of_centroids(bath: Bath) -> tuple[list[float], list[float]]:
    """Place, temperature and absorption of 1200 oscillators' line, beside frequency and equipartition.

    Ring polymers of 8 beads are thermalised, then move for 2 ps; each oscillator has a charge of 1 e.
    """
    warming, moving = (Integrator(np.ones(20), 8, 0.5, b) for b in (Bath(KELVIN, "pile_l", 20.0), bath))
    s = warming.start(np.zeros((20, 20, 3)), range(20))
    frames = []
    for step in range(-1000, 4000):
        integrator = warming if step < 0 else moving
        if step == -1000:
            integrator.take(s, *harmonic(integrator.places(s)))
        integrator.begin(s)
        integrator.take(s, *harmonic(integrator.places(s)))
        integrator.finish(s)
        if step >= 0 and step % 8 == 0:
            frames.append(integrator.places(s).mean(axis=1))
    paths = np.array(frames)
    series = [paths[:, k] for k in range(20)]
    states = vibrational_spectrum(series, np.ones(20), 4.0, positions=True)
    charged = [x[:, k] for x in series for k in range(20)]
    infrared = infrared_spectrum(charged, 4.0, KELVIN)
    line = QUANTUM / units.invcm
    kelvin = states.area(line - 150, line + 150).value / 60
    # KM_MOL per oscillator, in three directions.
    strength = infrared.area(line - 150, line + 150).value / (3 * KM_MOL)
    return [states.maximum().value / line, kelvin / KELVIN, strength], [1.0, 1.0, 1.0]


LINE = "line of 1200 oscillators of 8 beads, {}: place, temperature, absorption, as shares"


@row(
    SECTION,
    LINE.format("RPMD"),
    "frequency, equipartition, double harmonic theory",
    tolerance=0.09,
    slow=True,
)
def rpmd():
    return spectrum_of_centroids(Bath(KELVIN, "none"))


@row(
    SECTION,
    LINE.format("TRPMD"),
    "frequency, equipartition, double harmonic theory",
    tolerance=0.09,
    slow=True,
)
def trpmd():
    return spectrum_of_centroids(Bath.trpmd(KELVIN))
