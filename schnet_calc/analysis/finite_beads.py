r"""What finitely many beads and a finite time step make of harmonic oscillators: a bias known before a run.

A step is O B A B O with the free ring polymer moved exactly, as i-PI's and ours are. On a normal mode of the ring
polymer whose own frequency is :math:`\omega_k`, B A B is a linear map over the step h,

.. math:: \begin{pmatrix} 1 & 0 \\ -g & 1 \end{pmatrix}
   \begin{pmatrix} c & s/\omega_k \\ -\omega_k s & c \end{pmatrix}
   \begin{pmatrix} 1 & 0 \\ -g & 1 \end{pmatrix},
   \qquad g = h\omega^2/2,\; c = \cos\omega_k h,\; s = \sin\omega_k h,

which keeps the ratio of its off-diagonal entries as that of the variances of coordinate and momentum. O leaves the
momentum's variance at :math:`P k_B T`, so that of the coordinate follows; for one bead it is too large by a factor
of :math:`1/(1 - (\omega h/2)^2)`.
"""

from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
HBAR_FS = units._hbar / units._e * 1e15
"""eV fs"""


class HarmonicAverages(NamedTuple):
    """Of oscillators, eV each."""

    potential: FloatArray
    kinetic_virial: FloatArray
    kinetic_thermodynamic: FloatArray

    @property
    def energy(self) -> FloatArray:
        """By the virial estimator."""
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
    w = np.asarray(quanta, dtype=float)[:, None]
    springs = 2.0 * beads * thermal * np.sin(np.pi * np.arange(beads) / beads)  # ħ times frequency
    squares = beads * thermal / (w**2 + springs**2)  # of the coordinate, in units of ħ²/m
    if timestep:
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
        squares = beads * thermal * slope / back
    inner = squares[:, 1:].sum(axis=1)
    potential = 0.5 * w[:, 0] ** 2 * squares.sum(axis=1) / beads
    virial = 0.5 * thermal + 0.5 * w[:, 0] ** 2 * inner / beads
    primitive = 0.5 * beads * thermal - 0.5 * (springs**2 * squares).sum(axis=1) / beads
    return HarmonicAverages(potential, virial, primitive)


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
    hbar = units._hbar / units._e * units.s
    step, distance = grid[1] - grid[0], grid[:, None] - grid
    lowest = potential.min()

    def spectrum(beta: float) -> tuple[FloatArray, FloatArray]:
        stiffness = mass * beads / (beta * hbar**2)
        half = np.exp(-0.5 * beta / beads * (potential - lowest))
        kernel = np.sqrt(stiffness / (2 * np.pi)) * np.exp(-0.5 * stiffness * distance**2) * step
        values, vectors = np.linalg.eigh(half[:, None] * kernel * half)
        return np.log(np.maximum(values, 1e-300)), vectors

    def log_trace(beta: float) -> float:
        logs, _ = spectrum(beta)
        return float(np.logaddexp.reduce(beads * logs)) - beta * lowest

    beta = 1.0 / (units.kB * temperature)
    change = 2e-3 * beta
    below, here, above = (log_trace(beta + k * change) for k in (-1, 0, 1))
    energy = -(above - below) / (2 * change)
    capacity = beta**2 * (above - 2 * here + below) / change**2
    logs, vectors = spectrum(beta)
    weights = np.exp(beads * (logs - logs.max()))
    mean = float(weights @ (vectors.T**2 @ potential) / weights.sum())
    return TrotterAverages(mean, float(energy - mean), float(capacity))
