"""VPT2 against what is known exactly: Morse's oscillator, and a diagonalised Hamiltonian."""

import numpy as np
import pytest

from schnet_calc.simulate.vpt2 import QuarticField, vpt2


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
