"""Exact averages of ring polymers in wells and along lines, which simulations are compared with."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis.finite_beads import HBAR, gaussian_modes

FloatArray = NDArray[np.float64]
N_CENTRES = 64
"""Points of the integral over a centre: an integrand without corners, which ends at both sides."""


def harmonic_energy(frequency: float, temperature: float, beads: int) -> float:
    """Energy of a harmonic oscillator in the primitive approximation with P beads, eV.

    Exact for any P; twice the mean potential energy of the ring polymer's normal modes.

    Parameters
    ----------
    frequency : float
        ħω, eV.
    temperature : float
        K.
    beads : int
        P.
    """
    beta = 1.0 / (units.kB * temperature)
    springs = 2.0 * beads / beta * np.sin(np.pi * np.arange(beads) / beads)
    return float((frequency**2 / (frequency**2 + springs**2)).sum() / beta)


def harmonic_gyration(
    quantum: float, mass: float, temperature: float, beads: int, timestep: float = 0.0
) -> float:
    """Return the mean radius of gyration (Å) of a particle in a well that is the same along x, y and z.

    Parameters
    ----------
    quantum : float
        ħω, eV.
    mass : float
        amu.
    temperature : float
        K.
    beads : int
        P.
    timestep : float
        fs; zero for the ring polymer's own average.

    Raises
    ------
    ValueError
        The time step is too long for a stable integration.
    """
    _, _, squares = gaussian_modes(np.array([quantum]), temperature, beads, timestep)
    shares = HBAR**2 / mass * squares[0, 1:] / beads
    return _mean_root(lambda t: float(np.prod(1.0 + 2.0 * t * shares) ** -1.5), 3.0 * shares.sum(), beads)


def _mean_root(laplace: Callable[[float], float], scale: float, beads: int) -> float:
    r"""The mean of :math:`\sqrt X` from that of :math:`e^{-tX}`, where X is about as large as a scale.

    .. math:: \langle\sqrt X\rangle
       = \frac{1}{2\sqrt\pi} \int_0^\infty \frac{1 - \langle e^{-tX}\rangle}{t^{3/2}} dt

    by Gauss and Legendre over the logarithm of t; before it the integrand goes as the inverse root of t, beyond it
    the exponential's mean falls with a power of t.
    """
    if scale == 0.0:
        return 0.0
    nodes, weights = np.polynomial.legendre.leggauss(30)
    first, last = np.log(np.array([1e-4, 1e2]) / scale)
    times = np.exp(first + 0.5 * (last - first) * (nodes + 1.0))
    missing = np.array([1.0 - laplace(t) for t in times])
    middle = 0.5 * (last - first) * (weights * missing / np.sqrt(times)).sum()
    before = 2.0 * (1.0 - laplace(np.exp(first))) / np.exp(0.5 * first)
    beyond = (2.0 - laplace(np.exp(last)) / (1.5 * beads - 1.0)) / np.exp(0.5 * last)
    return float((before + middle + beyond) / (2.0 * np.sqrt(np.pi)))


def _kernel(grid: FloatArray, potential: FloatArray, mass: float, beta: float, beads: int) -> FloatArray:
    """The matrix (G, G) of :func:`trotter_averages`, with the grid's step."""
    stiffness = mass * beads / (beta * HBAR**2)
    half = np.exp(-0.5 * beta / beads * potential)
    springs = np.exp(-0.5 * stiffness * (grid[:, None] - grid) ** 2)
    step = grid[1] - grid[0]
    found: FloatArray = np.sqrt(stiffness / (2 * np.pi)) * step * half[:, None] * springs * half
    return found


class TrotterAverages(NamedTuple):
    """Of P beads of one particle in one dimension."""

    potential: float
    """eV"""
    kinetic: float
    """eV, by either estimator"""
    heat_capacity: float
    """k_B"""


def trotter_averages(
    grid: FloatArray, potential: FloatArray, mass: float, temperature: float, beads: int
) -> TrotterAverages:
    r"""Return exact averages of a ring polymer in a potential along a line, by numerical matrix multiplication.

    The weight of a ring of P beads is the trace of the P-th power of

    .. math:: K(x, x') \propto e^{-\beta V(x)/2P} e^{-m P (x - x')^2 / 2 \beta \hbar^2} e^{-\beta V(x')/2P}

    (Thirumalai, Bruskin, Berne, J. Chem. Phys. 79, 5063), here by its eigenvalues on a grid.

    Parameters
    ----------
    grid : array
        (G,) Å, equidistant, wide enough for the density to vanish at its ends.
    potential : array
        (G,) eV.
    mass : float
        amu.
    temperature : float
        K.
    beads : int
        P.
    """
    lowest, beta = potential.min(), 1.0 / (units.kB * temperature)
    change, traces = 2e-3 * beta, []
    for near in (beta - change, beta + change, beta):
        values, vectors = np.linalg.eigh(_kernel(grid, potential - lowest, mass, near, beads))
        logs = np.log(np.maximum(values, 1e-300))
        traces.append(float(np.logaddexp.reduce(beads * logs)) - near * lowest)
    below, above, here = traces
    energy = -(above - below) / (2 * change)
    capacity = beta**2 * (above - 2 * here + below) / change**2
    weights = np.exp(beads * (logs - logs.max()))
    mean = float(weights @ (vectors.T**2 @ potential) / weights.sum())
    return TrotterAverages(mean, float(energy - mean), float(capacity))


def trotter_gyration(
    grid: FloatArray, potential: FloatArray, mass: float, temperature: float, beads: int
) -> float:
    r"""Return the mean radius of gyration (Å) of a particle in a potential that is the same along x, y and z.

    The radius is the root of a sum over directions, whose Laplace transform is the third power of that of one: with
    the Gaussian integral over a centre c,

    .. math:: \Bigl\langle e^{-\frac{t}{P}\sum_j (x_j - \bar x)^2}\Bigr\rangle = \sqrt{t/\pi} \int
       \Bigl\langle e^{-\frac{t}{P}\sum_j (x_j - c)^2}\Bigr\rangle dc,

    traces of powers of the matrix of :func:`trotter_averages` with another potential.

    Parameters
    ----------
    grid, potential, mass, temperature, beads
        As for :func:`trotter_averages`; points 0.02 Å apart are close enough, and a hundred of them take seconds.
    """
    beta = 1.0 / (units.kB * temperature)
    kernel = _kernel(grid, potential - potential.min(), mass, beta, beads)
    free = HBAR**2 * beta * (1.0 - 1.0 / beads**2) / (12.0 * mass)
    return _mean_root(partial(_narrowed, grid, kernel, beads), 3.0 * free, beads)


def _narrowed(grid: FloatArray, kernel: FloatArray, beads: int, t: float) -> float:
    """The mean of :math:`e^{-tX}`, X the squared radius of gyration along all three directions."""
    far = 0.5 * np.ptp(grid) + 7.0 / np.sqrt(2.0 * t)
    centres = np.linspace(-far, far, N_CENTRES) + 0.5 * (grid[0] + grid[-1])
    halves = np.exp(-0.5 * t / beads * (grid - centres[:, None]) ** 2)
    narrowed = halves[:, :, None] * kernel * halves[:, None, :]
    traces = np.trace(np.linalg.matrix_power(narrowed, beads), axis1=1, axis2=2)
    whole = np.trace(np.linalg.matrix_power(kernel, beads))
    return float((np.sqrt(t / np.pi) * traces.sum() * (centres[1] - centres[0]) / whole) ** 3)
