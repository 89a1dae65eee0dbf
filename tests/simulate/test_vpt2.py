"""VPT2 against what is known exactly: Morse's oscillator, and a diagonalised Hamiltonian."""

from dataclasses import replace

import ase
import numpy as np
import pytest
from ase import units
from scipy import sparse

from schnet_calc.simulate.modes import MODE_UNIT, normal_modes
from schnet_calc.simulate.vpt2 import QuarticField, quartic_field, vpt2
from verification.vibrations import MorseBond


def field(omega, cubic, quartic):
    m = len(omega)
    c, q = np.zeros((m, m, m)), np.zeros((m, m, m))
    for (i, j, k), value in cubic.items():
        for a, b, d in {(i, j, k), (i, k, j), (j, i, k), (j, k, i), (k, i, j), (k, j, i)}:
            c[a, b, d] = value
    for (i, j), value in quartic.items():
        q[i, j, j] = q[j, i, i] = value
    return QuarticField(np.array(omega), c, q, np.zeros((3, m, m)), np.zeros(3))


def test_a_morse_oscillator_has_its_exact_anharmonicity():
    omega, anharmonicity = 3000.0, 60.0  # cm⁻¹; E(n) = omega (n + 1/2) - x (n + 1/2)²
    # V = D (1 - exp(-a q))² with omega = 2 a² D and x = a² omega / 2 in dimensionless q.
    a = np.sqrt(2.0 * anharmonicity / omega)
    depth = omega / (2.0 * a**2)
    found = vpt2(field([omega], {(0, 0, 0): -6.0 * depth * a**3}, {(0, 0): 14.0 * depth * a**4}))
    assert found.constants[0, 0] == pytest.approx(-anharmonicity)
    assert found.fundamentals[0] == pytest.approx(omega - 2.0 * anharmonicity)


def levels(omega, cubic, quartic, size=14):
    """Eigenvalues of H in products of harmonic states, and the share of each fundamental in them."""
    m = len(omega)
    step = np.diag(np.sqrt(np.arange(1, size) / 2.0), 1)
    q1 = step + step.T
    shape = (size,) * m

    def on(operators):
        matrix = np.ones((1, 1))
        for k in range(m):
            matrix = np.kron(matrix, operators.get(k, np.eye(size)))
        return matrix

    h = sum(on({k: np.diag(omega[k] * (np.arange(size) + 0.5))}) for k in range(m))
    powers = [np.linalg.matrix_power(q1, n) for n in range(5)]
    for index, value in cubic.items():
        counts = {k: index.count(k) for k in set(index)}
        weight = np.prod([1.0 / np.prod(range(1, n + 1)) for n in counts.values()])
        h = h + value * weight * on({k: powers[n] for k, n in counts.items()})
    for (i, j), value in quartic.items():
        h = h + (
            value / 24.0 * on({i: powers[4]}) if i == j else value / 4.0 * on({i: powers[2], j: powers[2]})
        )
    values, vectors = np.linalg.eigh(h)
    found = []
    for k in range(m):
        state = np.ravel_multi_index(tuple(int(n == k) for n in range(m)), shape)
        found.append(values[np.argmax(vectors[state] ** 2)] - values[0])
    return np.array(found)


@pytest.mark.parametrize(
    ("omega", "cubic"),
    [
        ([1000.0, 1700.0], {(0, 0, 1): 60.0, (0, 0, 0): -80.0, (1, 1, 1): -90.0, (0, 1, 1): 40.0}),
        ([1000.0, 2030.0], {(0, 0, 1): 60.0, (0, 0, 0): -40.0}),  # a Fermi resonance
    ],
    ids=["far apart", "resonant"],
)
def test_coupled_oscillators(omega, cubic):
    quartic = {(0, 0): 30.0, (1, 1): 35.0, (0, 1): 20.0}
    found = vpt2(field(omega, cubic, quartic))
    np.testing.assert_allclose(found.fundamentals, levels(omega, cubic, quartic), atol=2.0)
    assert bool(found.resonances) == (omega[1] > 2000)


def test_a_resonance_of_two_modes():
    omega, cubic = [900.0, 1100.0, 2040.0], {(0, 1, 2): 70.0}
    found = vpt2(field(omega, cubic, {}))
    assert found.resonances == ["3 ~ 1 + 2"]
    np.testing.assert_allclose(found.fundamentals, levels(omega, cubic, {}, size=9), atol=2.0)


def levels_with_rotation(found, omega, cubic, quartic, most=9):
    """As :func:`levels`, with B π² of the vibrational angular momentum; states of at most so many quanta."""
    m, size = len(omega), most + 1
    step = sparse.diags(np.sqrt(np.arange(1, size) / 2.0), 1)
    q1, p1 = (step + step.T).tocsr(), (step - step.T).tocsr()  # i p

    def on(operators):
        matrix = sparse.identity(1)
        for k in range(m):
            matrix = sparse.kron(matrix, operators.get(k, sparse.identity(size)), "csr")
        return matrix

    h = sum(on({k: sparse.diags(omega[k] * (np.arange(size) + 0.5))}) for k in range(m))
    for index, value in cubic.items():
        counts = {k: index.count(k) for k in set(index)}
        weight = np.prod([1.0 / np.prod(range(1, n + 1)) for n in counts.values()])
        h = h + value * weight * on({k: q1**n for k, n in counts.items()})
    for (i, j), value in quartic.items():
        h = h + (value / 24.0 * on({i: q1**4}) if i == j else value / 4.0 * on({i: q1**2, j: q1**2}))
    for constant, zeta in zip(found.rotational, found.coriolis, strict=True):
        pairs = [(i, j) for i in range(m) for j in range(m) if zeta[i, j] and i != j]
        if pairs and constant:
            momentum = sum(zeta[i, j] * np.sqrt(omega[j] / omega[i]) * on({i: q1, j: p1}) for i, j in pairs)
            h = h - constant * momentum @ momentum  # p1 is i p
    quanta = np.indices((size,) * m).reshape(m, -1).sum(axis=0)
    kept = np.flatnonzero(quanta <= most)
    values, vectors = np.linalg.eigh(h.tocsr()[kept][:, kept].toarray())
    lines = []
    for k in range(m):
        state = np.ravel_multi_index(tuple(int(n == k) for n in range(m)), (size,) * m)
        lines.append(values[np.argmax(vectors[np.searchsorted(kept, state)] ** 2)] - values[0])
    return np.array(lines)


@pytest.mark.parametrize("stretch", [1250.0, 1345.0], ids=["far apart", "resonant"])
def test_a_linear_molecule(stretch):
    """Like CO2: a bend of two components, which couple to the stretches by B and by the force field."""
    omega = [667.0, 667.0, stretch, 2390.0]
    cubic = {(0, 0, 2): 60.0, (1, 1, 2): 60.0, (2, 2, 2): -40.0, (2, 3, 3): -150.0}
    quartic = {
        (0, 0): 6.0,
        (1, 1): 6.0,
        (0, 1): 2.0,
        (2, 2): 4.0,
        (3, 3): 40.0,
        (2, 3): 15.0,
        (0, 3): -20.0,
    }
    quartic[1, 3] = quartic[0, 3]
    plain = field(omega, cubic, quartic)
    zeta = np.zeros((3, 4, 4))
    zeta[1, 0, 3], zeta[2, 1, 3] = -1.0, 1.0
    zeta -= zeta.transpose(0, 2, 1)
    rotating = replace(plain, coriolis=zeta, rotational=np.array([0.0, 0.4, 0.4]), bends=((0, 1),))
    found = vpt2(rotating)
    np.testing.assert_allclose(
        found.fundamentals, levels_with_rotation(rotating, omega, cubic, quartic), atol=1.5
    )
    assert bool(found.resonances) == (stretch > 1300)


def test_a_diatomic_of_morse_from_its_hessians():
    """Levels of the radial equation, from the potential alone: depth 4.6 eV, 1.9 per Å, masses of HCl."""
    bond = MorseBond(4.6, 1.9, 1.27)
    atoms = ase.Atoms("HCl", [[0, 0, 0], [0.7, -0.5, 0.9]])
    atoms.set_distance(0, 1, 1.27)
    found = vpt2(quartic_field(normal_modes(atoms, bond), bond))
    reduced = 1.0 / (1.0 / atoms.get_masses()).sum()
    omega = 1.9 * np.sqrt(2 * 4.6 / reduced) * MODE_UNIT / units.invcm
    anharmonicity = (1.9 * MODE_UNIT) ** 2 / (2 * reduced) / units.invcm
    assert found.harmonic[0] == pytest.approx(omega, rel=1e-5)
    assert found.fundamentals[0] == pytest.approx(omega - 2 * anharmonicity, rel=1e-4)


class Chain:
    """A linear A-B-A with springs along and across its axis, and anharmonic ones along."""

    def energy(self, positions):
        first, second = positions[1] - positions[0], positions[2] - positions[1]
        lengths = np.array([np.linalg.norm(first), np.linalg.norm(second)]) - 1.16
        angle = np.linalg.norm(first / np.linalg.norm(first) - second / np.linalg.norm(second))
        return 50.0 * (lengths**2).sum() - 100.0 * (lengths**3).sum() + 3.5 * angle**2


def test_the_orientation_of_bends_is_found():
    """Components along the same axes: no force constant mixes the two."""
    from ase.calculators.calculator import Calculator

    class Potential(Calculator):
        implemented_properties = ("energy", "forces")

        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            super().calculate(atoms, properties, system_changes)
            gradient = np.zeros((3, 3))
            for k in np.ndindex(3, 3):
                for sign in (1, -1):
                    moved = atoms.positions.copy()
                    moved[k] += sign * 1e-4
                    gradient[k] += sign * Chain().energy(moved) / 2e-4
            self.results = {"energy": Chain().energy(atoms.positions), "forces": -gradient}

        def hessian(self, atoms):
            found = np.zeros((9, 9))
            for k in range(9):
                for sign in (1, -1):
                    moved = atoms.copy()
                    moved.positions.ravel()[k] += sign * 1e-3
                    moved.calc = self
                    found[k] -= sign * moved.get_forces().ravel() / 2e-3
            return found

    atoms = ase.Atoms("OCO", [[0, 0, -1.16], [0, 0, 0], [0, 0, 1.16]])
    atoms.rotate(33, (1, 2, 3))
    potential = Potential()
    modes = normal_modes(atoms, potential)
    found = quartic_field(modes, potential)
    assert found.bends == ((0, 1),)
    assert np.abs(found.cubic[0, 1]).max() < 0.02 * np.abs(found.cubic[0, 0]).max()
    assert found.rotational[np.argmin(found.rotational)] == 0.0
    assert np.sort(found.rotational)[1:] == pytest.approx([0.39, 0.39], abs=0.01)
    lines = vpt2(found).fundamentals
    assert lines[0] == pytest.approx(lines[1], abs=0.5)
