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

from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
HBAR_FS = units._hbar / units._e * 1e15
"""eV fs"""
HBAR = units._hbar / units._e * units.s
"""eV times ASE's unit of time"""


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
    half, springs, squares = gaussian_modes(quanta, temperature, beads, timestep)
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


def gaussian_modes(
    quanta: FloatArray, temperature: float, beads: int, timestep: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return half of the squared quanta (K, 1), springs' quanta (P,), eV, and variances of the modes (K, P), ħ²/m.

    The arguments of :func:`harmonic_averages`, and its errors.
    """
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
