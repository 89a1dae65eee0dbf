"""Spectra of motions that are known, and temperatures of runs."""

from pathlib import Path
from tempfile import TemporaryDirectory

import ase
import numpy as np
from ase import units
from ase.calculators.calculator import Calculator, all_changes

from schnet_calc.analysis.spectra import INVCM_FS, KM_MOL, infrared_spectrum, vibrational_spectrum
from schnet_calc.simulate.md import run_md
from schnet_calc.simulate.md_files import MDSettings
from verification import row

SECTION = "Spectra from dynamics"
MASS, KELVIN = 12.0, 300.0
LINES = np.array([600.0, 1700.0, 3000.0])
CHARGES = np.array([0.3, 0.1, 0.2])
"""e"""


def _oscillators(interval, energies, seed=0):
    """Positions and momenta (M, 3) of three oscillators of 16 ps."""
    omega = 2 * np.pi * LINES / INVCM_FS / units.fs
    times = np.arange(int(16000 / interval)) * interval * units.fs
    turns = np.outer(times, omega) + np.random.default_rng(seed).uniform(0, 2 * np.pi, 3)
    amplitude = np.sqrt(2 * energies / MASS) / omega
    return amplitude * np.cos(turns), -MASS * amplitude * omega * np.sin(turns)


def _areas(spectrum):
    return np.array([spectrum.area(line - 100, line + 100).value for line in LINES])


def _states(interval, positions=False):
    series = _oscillators(interval, np.full(3, units.kB * KELVIN))[0 if positions else 1]
    cartesian = [series[:, :, None] * [1.0, 0, 0]]
    return vibrational_spectrum(cartesian, np.full(3, MASS), interval, positions=positions)


@row(
    SECTION,
    "temperatures of modes of 600 to 3000 cm⁻¹ from the density of states, frames 0.5 to 5 fs apart",
    "equipartition",
    tolerance=2.0,
    unit="K",
)
def density_of_states():
    ours = np.array([_areas(_states(interval)) for interval in (0.5, 2.0, 4.0, 5.0)])
    return ours, np.full(ours.shape, KELVIN)


@row(SECTION, "the same from positions, as of centroids", "equipartition", tolerance=2.0, unit="K")
def density_from_positions():
    ours = np.array([_areas(_states(interval, positions=True)) for interval in (0.5, 4.0)])
    return ours, np.full(ours.shape, KELVIN)


@row(SECTION, "positions of the lines", "frequencies", tolerance=1.0, unit="cm⁻¹")
def lines():
    return [p.position for p in _states(2.0).peaks()], LINES


@row(
    SECTION,
    "infrared bands of a harmonic dipole, frames 0.5 and 4 fs apart",
    "double harmonic theory",
    tolerance=0.01,
    relative=True,
    unit="km/mol",
)
def infrared():
    ours = []
    for interval in (0.5, 4.0):
        x, _ = _oscillators(interval, np.full(3, units.kB * KELVIN))
        ours.append(_areas(infrared_spectrum([(x @ CHARGES)[:, None] * [[1.0, 0, 0]]], interval, KELVIN)))
    return ours, np.tile(KM_MOL * CHARGES**2 / MASS, (2, 1))


@row(
    SECTION,
    "bands of 20 replicas, 99 : 1 in strength, pooled",
    "their mean energies",
    tolerance=0.01,
    relative=True,
)
def pooled():
    energies = np.random.default_rng(1).exponential(units.kB * KELVIN, (20, 3))
    strengths = np.sqrt([0.0, 99.0, 1.0])
    dipoles = [
        (_oscillators(2.0, e, k)[0] @ strengths)[:, None] * [[1.0, 0, 0]] for k, e in enumerate(energies)
    ]
    areas = _areas(infrared_spectrum(dipoles, 2.0, KELVIN))
    return areas[1] / areas[2], 99 * energies[:, 1].sum() / energies[:, 2].sum()


class Springs(Calculator):
    """Every atom on a spring of its own, between 500 and 2500 cm⁻¹ for carbon."""

    implemented_properties = ("energy", "forces")

    def __init__(self, sites):
        super().__init__()
        self.sites, self.constants = sites, np.linspace(1.1, 27.0, len(sites))[:, None]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        away = atoms.positions - self.sites
        energy = float(0.5 * (self.constants * away**2).sum())
        self.results = {"energy": energy, "forces": -self.constants * away}


@row(
    SECTION,
    "temperature of a run without thermostat, 3000 vibrations, 300 K asked for",
    "equipartition",
    tolerance=20.0,
    unit="K",
    slow=True,
)
def equilibrated():
    sites = 3.0 * np.array(np.unravel_index(np.arange(1000), (10, 10, 10))).T
    settings = MDSettings(KELVIN, 0.2, 1.0, "none", interval=2)
    with TemporaryDirectory() as folder:
        run = run_md(ase.Atoms("C1000", sites), Springs(sites), settings, Path(folder))
        return run.averages()["temperature_k"].value, KELVIN
