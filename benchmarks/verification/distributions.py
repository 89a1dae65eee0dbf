"""Distributions of distances, and pair correlation functions."""

import ase
import numpy as np
from ase.build import bulk, molecule

from schnet_calc.analysis.distances import distribution, pair_distances, radial_distribution
from schnet_calc.analysis.liquids import pair_correlation
from schnet_calc.analysis.molecules import dodecahedron
from schnet_calc.analysis.symmetry import point_group
from verification import row

SECTION = "Structures and distributions"


@row(
    SECTION,
    "neighbours of an atom of C60 within 5 Å, from its radial distribution",
    "counted",
    tolerance=1e-9,
)
def neighbours():
    atoms = molecule("C60")
    radial = radial_distribution(pair_distances([atoms] * 20), 60, 5.0)
    shells = 4 / 3 * np.pi * np.diff(np.linspace(0.0, 5.0, 201) ** 3)
    distances = atoms.get_all_distances()
    return (radial.density * shells).sum(), ((distances > 0.1) & (distances < 5.0)).sum() / 60


@row(
    SECTION,
    "density of normal values in 20 bins, range cut at one spread",
    "normal distribution",
    tolerance=0.2,
    unit="1/Å",
)
def normal():
    values = np.random.default_rng(0).normal(1.5, 0.1, (40_000, 5))
    found = distribution(values, 1.4, 1.6, bins=20)
    return found.density, np.exp(-0.5 * ((found.centers - 1.5) / 0.1) ** 2) / (0.1 * np.sqrt(2 * np.pi))


@row(SECTION, "g(r) of an ideal gas beyond 1 Å", "1", tolerance=0.06)
def ideal_gas():
    rng = np.random.default_rng(0)
    frames = [ase.Atoms("O80", rng.uniform(0, 10, (80, 3)), cell=[10] * 3, pbc=True) for _ in range(150)]
    g = pair_correlation([frames], ("O", "O"), high=4.9, bins=10).g[2:]
    return g, np.ones_like(g)


@row(SECTION, "Na around Cl within 5 Å in rock salt, from g(r)", "6 + 8", tolerance=1e-9)
def rock_salt():
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 2
    found = pair_correlation([[atoms] * 20], ("Na", "Cl"), high=5.0, bins=100)
    shells = 4 / 3 * np.pi * np.diff(np.linspace(0, 5, 101) ** 3)
    return (found.g * shells).sum() * 32 / atoms.get_volume(), 14


@row(
    SECTION,
    "symmetry numbers of H2O, CO2, HCN, NH3, CH4, C2H6, C2H4, C6H6, BF3, SF6, C20, C60",
    "orders of the rotation groups",
    tolerance=0.0,
)
def symmetry_numbers():
    octahedron = ase.Atoms("SF6", [[0, 0, 0], *(1.56 * np.vstack([np.eye(3), -np.eye(3)]))])
    names = ("H2O", "CO2", "HCN", "NH3", "CH4", "C2H6", "C2H4", "C6H6", "BF3")
    shapes = [*map(molecule, names), octahedron, dodecahedron(), molecule("C60")]
    return [point_group(a).rotations for a in shapes], [2, 2, 1, 3, 12, 6, 4, 12, 6, 24, 60, 60]
