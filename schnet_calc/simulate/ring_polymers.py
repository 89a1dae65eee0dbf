r"""Ring polymers of many replicas, integrated together as arrays (replicas, beads, atoms, 3).

The Hamiltonian of P beads at the temperature T is that of i-PI,

.. math:: H = \sum_j \frac{p_j^2}{2m} + \frac{m\omega_P^2}{2}(q_j - q_{j+1})^2 + V(q_j),
   \qquad \omega_P = P k_B T / \hbar,

sampled at P T. A step is O B A B O: half a step of the thermostat, half a kick by the forces, the free ring polymer
exactly (in its normal modes), and back (Ceriotti, Parrinello, Markland, Manolopoulos, J. Chem. Phys. 133, 124104).
One bead is classical mechanics: A is a free flight, B A B velocity Verlet.

Inside, times are ASE's (Å √(amu/eV)), so that momenta are in ASE's units, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
HBAR = units._hbar / units._e * units.s
"""eV times ASE's unit of time."""
THERMOSTATS = ("pile_g", "pile_l", "svr", "langevin", "none")


class Bath(NamedTuple):
    """How ring polymers exchange heat."""

    temperature: float
    """K"""
    thermostat: str = "pile_g"
    """One of :data:`THERMOSTATS`."""
    time_constant: float = 100.0
    """fs: of the centroid for PILE, of all momenta for svr and langevin"""
    friction: float = 1.0
    """Of the internal modes of PILE, as a share of the critical damping (i-PI's ``pile_lambda``)"""

    @classmethod
    def trpmd(cls, temperature: float) -> "Bath":
        """Nothing on the centroid, half of the critical damping on the other modes (J. Chem. Phys. 140, 234116)."""
        return cls(temperature, "pile_l", np.inf, 0.5)


def mode_matrix(beads: int) -> FloatArray:
    """Return the orthogonal (P, P) matrix from beads to normal modes of a free ring polymer, the centroid first."""
    j, k = np.arange(beads), np.arange(beads)[:, None]
    waves = np.where(k <= beads // 2, np.cos(2 * np.pi * j * k / beads), np.sin(2 * np.pi * j * k / beads))
    alone = (k == 0) | (2 * k == beads)
    return np.where(alone, 1.0, np.sqrt(2.0)) * waves / np.sqrt(beads)


def mode_frequencies(beads: int, temperature: float) -> FloatArray:
    """Return the (P,) angular frequencies of a free ring polymer at T (K), in inverse units of ASE's time."""
    return 2 * beads * units.kB * temperature / HBAR * np.sin(np.pi * np.arange(beads) / beads)


@dataclass
class Polymers:
    """Where ring polymers of R replicas are; in normal modes, of which the first is √P times the centroid."""

    positions: FloatArray
    """(R, P, N, 3) Å √P-scaled normal modes"""
    momenta: FloatArray
    """(R, P, N, 3)"""
    generators: list[np.random.Generator]
    """Of each replica: it meets the same random numbers whoever is beside it."""
    energies: FloatArray = field(default_factory=lambda: np.empty(0))
    """(R, P) eV of each bead"""
    forces: FloatArray = field(default_factory=lambda: np.empty(0))
    """(R, P, N, 3) eV/Å on the normal modes"""
    heat: FloatArray = field(default_factory=lambda: np.empty(0))
    """(R,) eV that the thermostat has taken out"""


def start_polymers(
    positions: FloatArray,
    momenta: FloatArray | None,
    masses: FloatArray,
    bath: Bath,
    beads: int,
    seeds: Sequence[object],
) -> Polymers:
    """Return ring polymers whose beads are all in one place.

    Parameters
    ----------
    positions : array
        (R, N, 3) Å.
    momenta : array, optional
        (R, N, 3) of the centroids, in ASE's units; drawn if there are none. Those of the internal modes are.
    masses : array
        (N,) amu.
    bath : Bath
        Its temperature is that of momenta.
    beads : int
        P.
    seeds : sequence
        Of each replica, anything that NumPy's ``default_rng`` takes.
    """
    shape = (len(positions), beads, *positions.shape[1:])
    modes = np.zeros(shape)
    modes[:, 0] = np.sqrt(beads) * positions
    generators = [np.random.default_rng(seed) for seed in seeds]
    drawn = np.stack([rng.standard_normal(shape[1:]) for rng in generators])
    drawn *= np.sqrt(units.kB * bath.temperature * beads * masses)[:, None]
    if momenta is not None:
        drawn[:, 0] = np.sqrt(beads) * momenta
    return Polymers(modes, drawn, generators, heat=np.zeros(len(positions)))


class Integrator:
    """Moves ring polymers of one kind of molecule.

    Parameters
    ----------
    masses : array
        (N,) amu.
    beads : int
        P.
    timestep : float
        fs.
    bath : Bath
        The thermostat; ``"none"`` is RPMD.
    """

    def __init__(self, masses: FloatArray, beads: int, timestep: float, bath: Bath) -> None:
        self.beads, self.bath = beads, bath
        self.masses = np.asarray(masses, dtype=float)[:, None]
        self.half = 0.5 * timestep * units.fs
        self.to_modes = mode_matrix(beads)
        self.to_beads = np.ascontiguousarray(self.to_modes.T)
        self.frequencies = mode_frequencies(beads, bath.temperature)
        self.kick = self.half  # of momenta by forces
        self._propagate(2 * self.half)
        self._thermostat()

    def _propagate(self, step: float) -> None:
        """The free ring polymer over a step: (P, N, 1) factors."""
        w = self.frequencies[:, None, None]
        turned = w * step
        self.cosine = np.cos(turned)
        self.pull = -np.sin(turned) * w * self.masses
        self.drift = step * np.sinc(turned / np.pi) / self.masses

    def _thermostat(self) -> None:
        """Factors of the Langevin part over half a step: momenta keep a share, noise comes in."""
        bath, tau = self.bath, self.bath.time_constant * units.fs
        rates = np.zeros(self.beads)
        if bath.thermostat == "langevin":
            rates[:] = 1.0 / tau
        elif bath.thermostat.startswith("pile"):
            rates = 2.0 * bath.friction * self.frequencies
            rates[0] = 0.0 if bath.thermostat == "pile_g" else 1.0 / tau
        self.kept = np.exp(-rates * self.half)[:, None, None]
        hot = units.kB * bath.temperature * self.beads
        self.noise = np.sqrt(hot * (1.0 - self.kept**2) * self.masses)
        self.rescaled = {"svr": slice(None), "pile_g": slice(0, 1)}.get(bath.thermostat)
        self.rescaled_share = float(np.exp(-self.half / tau))
        self.hot = hot

    def places(self, s: Polymers) -> FloatArray:
        """Return (R, P, N, 3) Å, the positions of the beads."""
        return self._mixed(self.to_beads, s.positions)

    def _mixed(self, matrix: FloatArray, x: FloatArray) -> FloatArray:
        """One small product per replica, so that none depends on how many there are."""
        if self.beads == 1:
            return x
        flat: FloatArray = np.matmul(matrix, x.reshape(len(x), self.beads, -1))
        return flat.reshape(x.shape)

    def begin(self, s: Polymers) -> None:
        """O B A: after it, the beads are where forces are needed."""
        self._exchange_heat(s)
        s.momenta += self.kick * s.forces
        moved = self.cosine * s.positions + self.drift * s.momenta
        s.momenta *= self.cosine
        s.momenta += self.pull * s.positions
        s.positions = moved

    def take(self, s: Polymers, energies: FloatArray, forces: FloatArray) -> None:
        """Take what the beads have where they are now.

        Parameters
        ----------
        s : Polymers
            Are changed.
        energies : array
            (R, P) eV.
        forces : array
            (R, P, N, 3) eV/Å on the beads.
        """
        s.energies, s.forces = energies, self._mixed(self.to_modes, forces)

    def finish(self, s: Polymers) -> None:
        """B O, with the forces that have been taken."""
        s.momenta += self.kick * s.forces
        self._exchange_heat(s)

    def kinetic(self, s: Polymers) -> FloatArray:
        """Return (R, P) eV, of each normal mode's momenta; P N 3 times half of k_B P T together on average."""
        weighted = s.momenta / np.sqrt(self.masses)
        flat = weighted.reshape(len(weighted), self.beads, -1)
        found: FloatArray = 0.5 * np.einsum("rpx,rpx->rp", flat, flat)
        return found

    def springs(self, s: Polymers) -> FloatArray:
        """Return (R,) eV, the energy of the springs."""
        stretched = s.positions * np.sqrt(self.masses) * self.frequencies[:, None, None]
        flat = stretched.reshape(len(stretched), -1)
        found: FloatArray = 0.5 * np.einsum("rx,rx->r", flat, flat)
        return found

    def conserved(self, s: Polymers) -> FloatArray:
        """Return (R,) eV: energy of the ring polymer and heat of its thermostat, over P."""
        total = self.kinetic(s).sum(axis=1) + self.springs(s) + s.energies.sum(axis=1) + s.heat
        return total / self.beads

    def _exchange_heat(self, s: Polymers) -> None:
        if self.bath.thermostat == "none":
            return
        before = self.kinetic(s).sum(axis=1)
        if self.bath.thermostat != "svr":
            drawn = np.empty_like(s.momenta)
            for rng, noise in zip(s.generators, drawn, strict=True):
                rng.standard_normal(out=noise)
            s.momenta *= self.kept
            s.momenta += self.noise * drawn
        if self.rescaled is not None:
            self._rescale(s, self.rescaled)
        s.heat += before - self.kinetic(s).sum(axis=1)

    def _rescale(self, s: Polymers, modes: slice) -> None:
        """Rescale velocities of each replica (Bussi, Donadio, Parrinello, J. Chem. Phys. 126, 014101)."""
        energies = self.kinetic(s)[:, modes].sum(axis=1)
        part = s.momenta[:, modes]
        n_free = part[0].size
        for k, rng in enumerate(s.generators):
            share, each = self.rescaled_share, 0.5 * self.hot / energies[k]
            first, others = rng.standard_normal(), rng.chisquare(n_free - 1)
            factor = np.sqrt(share) + first * np.sqrt((1.0 - share) * each)
            squared = factor**2 + others * (1.0 - share) * each
            part[k] *= np.copysign(np.sqrt(squared), factor)
