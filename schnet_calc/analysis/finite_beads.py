r"""What finitely many beads and a finite time step make of harmonic oscillators: a bias known before a run.

A step is O B A B O with the free ring polymer moved exactly, as i-PI's and ours are. On a normal mode of the ring
polymer whose own frequency is :math:`\omega_k`, B A B is a linear map over the step h,

.. math:: \begin{pmatrix} 1 & 0 \\ -g & 1 \end{pmatrix}
   \begin{pmatrix} c & s/\omega_k \\ -\omega_k s & c \end{pmatrix}
   \begin{pmatrix} 1 & 0 \\ -g & 1 \end{pmatrix},
   \qquad g = h\omega^2/2,\; c = \cos\omega_k h,\; s = \sin\omega_k h,

which keeps the ratio of its off-diagonal entries as that of the variances of coordinate and momentum. O leaves the
momentum's variance at :math:`P k_B T`, so that of the coordinate follows; for one bead it is too large by a factor
of :math:`1/(1 - (\omega h/2)^2)`. All averages are those of independent Gaussian modes with these variances.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
HBAR_FS = units._hbar / units._e * 1e15
"""eV fs"""
HBAR = units._hbar / units._e * units.s
"""eV times ASE's unit of time"""
N_CENTRES = 64
"""Points of the integral over a centre: an integrand without corners, which ends at both sides."""


class HarmonicAverages(NamedTuple):
    """Of oscillators, (K,) eV each."""

    potential: FloatArray
    kinetic_virial: FloatArray
    kinetic_thermodynamic: FloatArray
    heat_capacity: FloatArray
    """k_B, by the covariance of both estimators"""

    @property
    def energy(self) -> FloatArray:
        """(K,) eV, by the virial estimator."""
        return self.potential + self.kinetic_virial


def quantum_energies(quanta: FloatArray, temperature: float) -> FloatArray:
    """Return mean energies (K,) of oscillators with quanta (K,), eV, at a temperature in K."""
    return 0.5 * quanta / np.tanh(0.5 * quanta / (units.kB * temperature))


def harmonic_averages(
    quanta: FloatArray, temperature: float, beads: int, timestep: float = 0.0
) -> HarmonicAverages:
    """Return what a simulation of harmonic oscillators converges to.

    Parameters
    ----------
    quanta : array
        (K,) ħω, eV.
    temperature : float
        K.
    beads : int
        P.
    timestep : float
        fs; zero for the ring polymer's own averages.

    Raises
    ------
    ValueError
        The time step is too long for a stable integration.
    """
    thermal = units.kB * temperature
    half, springs, squares = _gaussians(quanta, temperature, beads, timestep)
    potential = half * squares / beads
    pull = 0.5 * springs**2 * squares / beads
    virial = potential + np.where(np.arange(beads) > 0, potential, 0.0)
    # Of Gaussian modes the covariance of two sums of squares is twice that of their products.
    covariance = 2.0 * (virial * (potential - pull)).sum(axis=1)
    return HarmonicAverages(
        potential.sum(axis=1),
        0.5 * thermal + potential[:, 1:].sum(axis=1),
        0.5 * beads * thermal - pull.sum(axis=1),
        0.5 + covariance / thermal**2,
    )


def _gaussians(
    quanta: FloatArray, temperature: float, beads: int, timestep: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Half of the squared quanta (K, 1), springs' quanta (P,), eV, and variances of the modes (K, P) in ħ²/m."""
    thermal = units.kB * temperature
    w = np.asarray(quanta, dtype=float)[:, None]
    springs = 2.0 * beads * thermal * np.sin(np.pi * np.arange(beads) / beads)
    if not timestep:
        return 0.5 * w**2, springs, beads * thermal / (w**2 + springs**2)
    h = timestep / HBAR_FS
    g, turned = 0.5 * h * w**2, springs * h
    slope = h * np.sinc(turned / np.pi)
    back = springs * np.sin(turned) + 2.0 * g * np.cos(turned) - g**2 * slope
    if np.any(back / slope <= 0):
        worst = np.asarray(quanta)[np.any(back / slope <= 0, axis=1)].max() / units.invcm
        raise ValueError(
            f"a timestep of {timestep:g} fs is too long: with {beads} beads a vibration of {worst:.0f} cm⁻¹ "
            "gains energy without end"
        )
    return 0.5 * w**2, springs, beads * thermal * slope / back


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
    _, _, squares = _gaussians(np.array([quantum]), temperature, beads, timestep)
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
