"""Anharmonic vibrations."""

from itertools import permutations

import ase
import numpy as np
from ase import units
from ase.calculators.calculator import Calculator

from schnet_calc.simulate.modes import MODE_UNIT, normal_modes
from schnet_calc.simulate.vpt2 import QuarticField, quartic_field, vpt2
from verification import row

SECTION = "Anharmonic vibrations"


class MorseBond(Calculator):
    """Two atoms with D (1 - exp(-a (r - r0)))² between them, and the Hessian of that.

    Parameters
    ----------
    depth, exponent, length : float
        D, eV; a, 1/Å; r0, Å.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, depth: float, exponent: float, length: float) -> None:
        super().__init__()
        self.depth, self.exponent, self.length = depth, exponent, length

    def _slopes(self, r: float) -> tuple[float, float, float]:
        """Energy and its two derivatives."""
        e = np.exp(-self.exponent * (r - self.length))
        d, a = self.depth, self.exponent
        return d * (1 - e) ** 2, 2 * d * a * e * (1 - e), 2 * d * a**2 * e * (2 * e - 1)

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        """See ASE."""
        super().calculate(atoms, properties, system_changes)
        vector = atoms.positions[1] - atoms.positions[0]
        r = np.linalg.norm(vector)
        energy, slope, _ = self._slopes(r)
        self.results = {"energy": energy, "forces": np.outer([1, -1], slope * vector / r)}

    def hessian(self, atoms: ase.Atoms) -> np.ndarray:
        """(6, 6) eV/Å²."""
        vector = atoms.positions[1] - atoms.positions[0]
        r = np.linalg.norm(vector)
        _, slope, curvature = self._slopes(r)
        along = np.outer(vector, vector) / r**2
        block = curvature * along + slope / r * (np.eye(3) - along)
        return np.block([[block, -block], [-block, block]])


def hydrogen_chloride():
    """A Morse bond, its diatomic, and the exact harmonic wavenumber and anharmonicity, cm⁻¹."""
    bond = MorseBond(4.6, 1.9, 1.27)
    atoms = ase.Atoms("HCl", [[0, 0, 0], [0, 0, 1.27]])
    reduced = 1.0 / (1.0 / atoms.get_masses()).sum()
    omega = 1.9 * np.sqrt(2 * 4.6 / reduced) * MODE_UNIT / units.invcm
    return bond, atoms, omega, (1.9 * MODE_UNIT) ** 2 / (2 * reduced) / units.invcm


@row(
    SECTION,
    "harmonic wavenumber of a Morse diatomic",
    "closed form, a (2 D / μ)^½",
    tolerance=0.05,
    unit="cm⁻¹",
)
def harmonic():
    bond, atoms, omega, _ = hydrogen_chloride()
    return normal_modes(atoms, bond).frequencies[0], omega


@row(
    SECTION,
    "fundamental of a Morse diatomic, VPT2 from Hessians",
    "closed form, ω - 2 x",
    tolerance=0.3,
    unit="cm⁻¹",
)
def fundamental():
    bond, atoms, omega, anharmonicity = hydrogen_chloride()
    return vpt2(quartic_field(normal_modes(atoms, bond), bond)).fundamentals[0], omega - 2 * anharmonicity


@row(
    SECTION,
    "zero-point energy of a Morse diatomic, VPT2",
    "closed form, ω / 2 - x / 4",
    tolerance=0.3,
    unit="cm⁻¹",
)
def zero_point():
    bond, atoms, omega, anharmonicity = hydrogen_chloride()
    return vpt2(quartic_field(normal_modes(atoms, bond), bond)).zero_point, omega / 2 - anharmonicity / 4


def coupled_levels(omega, cubic, size=24):
    """Lowest states with one quantum of two coupled oscillators, by diagonalisation in products, cm⁻¹."""
    step = np.diag(np.sqrt(np.arange(1, size) / 2.0), 1)
    q, one = step + step.T, np.eye(size)
    h = np.kron(np.diag(omega[0] * (np.arange(size) + 0.5)), one)
    h += np.kron(one, np.diag(omega[1] * (np.arange(size) + 0.5)))
    h += cubic * 0.5 * np.kron(q @ q, q)
    values, vectors = np.linalg.eigh(h)
    states = np.argmax(vectors[[size, 1]] ** 2, axis=1)
    return values[states] - values[0]


def coupled_field(omega, cubic):
    """The quartic field of two modes with V = cubic q0² q1 / 2."""
    c = np.zeros((2, 2, 2))
    c[0, 0, 1] = c[0, 1, 0] = c[1, 0, 0] = cubic
    return QuarticField(np.array(omega), c, np.zeros((2, 2, 2)), np.zeros((3, 2, 2)), np.zeros(3))


@row(SECTION, "two coupled oscillators, VPT2", "diagonalised Hamiltonian", tolerance=0.3, unit="cm⁻¹")
def coupled():
    omega, cubic = [1000.0, 1700.0], 40.0
    return vpt2(coupled_field(omega, cubic)).fundamentals, coupled_levels(omega, cubic)


@row(
    SECTION,
    "a Fermi resonance, 2030 and 2 × 1000 cm⁻¹",
    "diagonalised Hamiltonian",
    tolerance=0.5,
    unit="cm⁻¹",
)
def fermi():
    omega, cubic = [1000.0, 2030.0], 40.0
    return vpt2(coupled_field(omega, cubic)).fundamentals, coupled_levels(omega, cubic)


@row(
    SECTION,
    "a resonance of a fundamental and a combination, 2040 and 900 + 1100 cm⁻¹",
    "diagonalised Hamiltonian",
    tolerance=0.5,
    unit="cm⁻¹",
)
def combination():
    omega, size, value = [900.0, 1100.0, 2040.0], 9, 50.0
    cubic = np.zeros((3, 3, 3))
    for index in permutations(range(3)):
        cubic[index] = value
    field = QuarticField(np.array(omega), cubic, np.zeros((3, 3, 3)), np.zeros((3, 3, 3)), np.zeros(3))
    step = np.diag(np.sqrt(np.arange(1, size) / 2.0), 1)
    q, one = step + step.T, np.eye(size)
    h = value * np.kron(q, np.kron(q, q))
    for k, w in enumerate(omega):
        operators = [one, one, one]
        operators[k] = np.diag(w * (np.arange(size) + 0.5))
        h += np.kron(operators[0], np.kron(operators[1], operators[2]))
    values, vectors = np.linalg.eigh(h)
    states = np.argmax(vectors[[size**2, size, 1]] ** 2, axis=1)
    return vpt2(field).fundamentals, values[states] - values[0]
