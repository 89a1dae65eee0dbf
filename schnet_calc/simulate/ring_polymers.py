r"""Ring polymers of many replicas, integrated together as arrays (replicas, beads, atoms, 3).

The Hamiltonian of P beads at the temperature T is that of i-PI,

.. math:: H = \sum_j \frac{p_j^2}{2m} + \frac{m\omega_P^2}{2}(q_j - q_{j+1})^2 + V(q_j),
   \qquad \omega_P = P k_B T / \hbar,

sampled at P T. A step is O B A B O: half a step of the thermostat, half a kick by the forces, the free ring polymer
exactly (in its normal modes), and back (Ceriotti, Parrinello, Markland, Manolopoulos, J. Chem. Phys. 133, 124104).
One bead is classical mechanics: A is a free flight, B A B velocity Verlet.

Inside, times are ASE's (Å √(amu/eV)), and coordinates are mass-weighted. Arrays are NumPy's, or tensors that stay
on the device where they are: what is said of arrays holds for both. Random numbers are always NumPy's, so that a
replica is the same on any device but for rounding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

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
    """Return orthogonal weights (P, P) of beads in normal modes of a free ring polymer, the centroid first."""
    j, k = np.arange(beads), np.arange(beads)[:, None]
    waves = np.where(k <= beads // 2, np.cos(2 * np.pi * j * k / beads), np.sin(2 * np.pi * j * k / beads))
    alone = (k == 0) | (2 * k == beads)
    return np.where(alone, 1.0, np.sqrt(2.0)) * waves / np.sqrt(beads)


def mode_frequencies(beads: int, temperature: float) -> FloatArray:
    """Return the (P,) angular frequencies of a free ring polymer at T (K), in inverse units of ASE's time."""
    return 2 * beads * units.kB * temperature / HBAR * np.sin(np.pi * np.arange(beads) / beads)


@dataclass
class Polymers:
    """Where ring polymers of R replicas are, in mass-weighted normal modes: the first is √P times the centroid."""

    positions: FloatArray
    """(R, P, N, 3) Å √amu"""
    momenta: FloatArray
    """(R, P, N, 3) √eV"""
    generators: list[np.random.Generator]
    """Of each replica: it meets the same random numbers whoever is beside it."""
    heat: FloatArray
    """(R,) eV that the thermostat has taken out"""
    energies: FloatArray = field(default_factory=lambda: np.empty(0))
    """(R, P) eV of each bead"""
    forces: FloatArray = field(default_factory=lambda: np.empty(0))
    """(R, P, N, 3) eV/Å/√amu"""

    @property
    def kinetic(self) -> FloatArray:
        """(R, P) eV of each normal mode; half of k_B P T for each of its 3N momenta on average."""
        return 0.5 * _squares(self.momenta)


ARRAYS = ("positions", "momenta", "heat", "energies", "forces")
"""Of :class:`Polymers`."""


def on_host(x: Any) -> FloatArray:
    """Return an array (...,), or a copy of a tensor, for NumPy, in its unit."""
    found: FloatArray = x if isinstance(x, np.ndarray) else x.cpu().numpy()
    return found


def _squares(x: FloatArray) -> FloatArray:
    """Sums over atoms of each replica and mode."""
    found: FloatArray = (x * x).sum(axis=(2, 3))
    return found


def _twice_kinetic(momenta: FloatArray) -> FloatArray:
    """Sums of squares of each replica's momenta, (R,) eV."""
    found: FloatArray = (momenta * momenta).reshape(len(momenta), -1).sum(axis=1)
    return found


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
    device : torch.device, optional
        Where ring polymers are tensors; by default they are NumPy's arrays.
    """

    def __init__(
        self,
        masses: FloatArray,
        beads: int,
        timestep: float,
        bath: Bath,
        device: "torch.device | None" = None,
    ) -> None:
        self.beads, self.bath, self.device = beads, bath, device
        self.hot = units.kB * bath.temperature * beads
        self._half = 0.5 * timestep * units.fs
        frequencies, matrix = mode_frequencies(beads, bath.temperature), mode_matrix(beads)
        self._propagate(frequencies[:, None, None], 2.0 * self._half)
        self._thermostat(frequencies, bath.time_constant * units.fs)
        self.weights = self.brought(np.sqrt(np.asarray(masses, dtype=float))[:, None])
        self.frequencies = self.brought(frequencies)
        self._to_modes, self._to_beads = self.brought(matrix), self.brought(matrix.T.copy())

    def brought(self, x: FloatArray) -> Any:
        """Return an array (...,) of NumPy where the ring polymers are, in its unit."""
        if self.device is None:
            return x
        import torch

        return torch.from_numpy(x).to(self.device)

    def _propagate(self, w: FloatArray, step: float) -> None:
        """The free ring polymer over a step: (P, 1, 1) factors."""
        self._cosine = self.brought(np.cos(w * step))
        self._pull = self.brought(-np.sin(w * step) * w)
        self._drift = self.brought(step * np.sinc(w * step / np.pi))

    def _thermostat(self, frequencies: FloatArray, tau: float) -> None:
        """Over half a step: momenta keep a share, noise comes in."""
        kind, rates = self.bath.thermostat, np.zeros(self.beads)
        if kind == "langevin":
            rates[:] = 1.0 / tau
        elif kind.startswith("pile"):
            rates = 2.0 * self.bath.friction * frequencies
            rates[0] = 0.0 if kind == "pile_g" else 1.0 / tau
        kept = np.exp(-rates * self._half)[:, None, None]
        self._kept, self._noise = self.brought(kept), self.brought(np.sqrt(self.hot * (1.0 - kept**2)))
        self._rescaled = {"svr": slice(None), "pile_g": slice(0, 1)}.get(kind)
        self._share = float(np.exp(-self._half / tau))

    def start(
        self, positions: FloatArray, seeds: Sequence[Any], momenta: FloatArray | None = None
    ) -> Polymers:
        """Return ring polymers whose beads are all in one place.

        Parameters
        ----------
        positions : array
            (R, N, 3) Å.
        seeds : sequence
            Of each replica, anything that NumPy's ``default_rng`` takes.
        momenta : array, optional
            (R, N, 3) in ASE's units, of the centroids; drawn where there are none, as those of internal modes are.
        """
        shape = (len(positions), self.beads, *positions.shape[1:])
        modes = np.zeros(shape)
        weights = on_host(self.weights)
        modes[:, 0] = np.sqrt(self.beads) * weights * positions
        generators = [np.random.default_rng(seed) for seed in seeds]
        drawn = np.sqrt(self.hot) * np.stack([rng.standard_normal(shape[1:]) for rng in generators])
        if momenta is not None:
            drawn[:, 0] = np.sqrt(self.beads) * momenta / weights
        return self.taken_up(Polymers(modes, drawn, generators, np.zeros(len(positions))))

    def taken_up(self, s: Polymers) -> Polymers:
        """Return ring polymers of NumPy's arrays where this integrator has its own."""
        return replace(s, **{name: self.brought(getattr(s, name)) for name in ARRAYS})

    def places(self, s: Polymers) -> FloatArray:
        """Return (R, P, N, 3) Å, the positions of the beads."""
        return self._mixed(self._to_beads, s.positions) / self.weights

    def _mixed(self, matrix: FloatArray, x: FloatArray) -> FloatArray:
        """One small product per replica, so that none depends on how many there are."""
        if self.beads == 1:
            return x
        flat: FloatArray = matrix @ x.reshape(len(x), self.beads, -1)
        return flat.reshape(x.shape)

    def begin(self, s: Polymers) -> None:
        """O B A: after it, the beads are where forces are needed."""
        self._exchange_heat(s)
        s.momenta += self._half * s.forces
        moved = self._cosine * s.positions + self._drift * s.momenta
        s.momenta *= self._cosine
        s.momenta += self._pull * s.positions
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
        s.energies, s.forces = energies, self._mixed(self._to_modes, forces / self.weights)

    def finish(self, s: Polymers) -> None:
        """B O, with the forces that have been taken."""
        s.momenta += self._half * s.forces
        self._exchange_heat(s)

    def springs(self, s: Polymers) -> FloatArray:
        """Return (R,) eV, the energy of the springs."""
        return 0.5 * (_squares(s.positions) * self.frequencies**2).sum(axis=1)

    def conserved(self, s: Polymers) -> FloatArray:
        """Return (R,) eV: energy of the ring polymer and heat of its thermostat, over P."""
        total = s.kinetic.sum(axis=1) + self.springs(s) + s.energies.sum(axis=1) + s.heat
        return total / self.beads

    def properties(self, s: Polymers) -> dict[str, FloatArray]:
        """Return (R,) values of each replica, by the names that i-PI gives them: eV, K, Å.

        ``kinetic_cv`` is the centroid virial, ``kinetic_td`` the primitive estimator of the kinetic energy;
        ``temperature`` is that of the beads' momenta.
        """
        beads, n_atoms = self.beads, len(self.weights)
        inner, kelvin = s.positions[:, 1:], self.bath.temperature
        virial = (inner * s.forces[:, 1:]).sum(axis=(1, 2, 3))
        return {
            "conserved": self.conserved(s),
            "temperature": s.kinetic.sum(axis=1) * kelvin / (1.5 * n_atoms * self.hot * beads),
            "potential": s.energies.mean(axis=1),
            "kinetic_cv": 1.5 * n_atoms * units.kB * kelvin - 0.5 * virial / beads,
            "kinetic_td": 1.5 * n_atoms * self.hot - self.springs(s) / beads,
            "r_gyration": (((inner**2).sum(axis=(1, 3)) / beads) ** 0.5 / self.weights[:, 0]).mean(axis=1),
        }

    def _exchange_heat(self, s: Polymers) -> None:
        if self.bath.thermostat == "none":
            return
        before = _twice_kinetic(s.momenta)
        if self.bath.thermostat != "svr":
            drawn = np.empty(s.momenta.shape)
            for rng, noise in zip(s.generators, drawn, strict=True):
                rng.standard_normal(out=noise)
            s.momenta *= self._kept
            heat = self.brought(drawn)
            heat *= self._noise
            s.momenta += heat
        if self._rescaled is not None:
            self._rescale(s, self._rescaled)
        s.heat += 0.5 * (before - _twice_kinetic(s.momenta))

    def _rescale(self, s: Polymers, modes: slice) -> None:
        """Rescale velocities of each replica (Bussi, Donadio, Parrinello, J. Chem. Phys. 126, 014101)."""
        part, scales = s.momenta[:, modes], []
        share, n_free = self._share, math.prod(part.shape[1:])
        for rng, twice in zip(s.generators, _twice_kinetic(part).tolist(), strict=True):
            scales.append(1.0)
            if twice > 0:
                new = self.hot * (1.0 - share) / twice
                factor = math.sqrt(share) + rng.standard_normal() * math.sqrt(new)
                squared = factor**2 + rng.chisquare(n_free - 1) * new
                scales[-1] = math.copysign(math.sqrt(squared), factor)
        part *= self.brought(np.array(scales).reshape(-1, 1, 1, 1))
