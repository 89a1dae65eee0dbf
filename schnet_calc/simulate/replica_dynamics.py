"""Classical replicas by the integrator of ring polymers: of one bead each."""

from collections.abc import Sequence
from itertools import pairwise

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.simulate.md_files import MDSettings
from schnet_calc.simulate.ring_polymers import Bath, Integrator, Polymers


class ReplicaDynamics:
    """Moves replicas that are joined into one system, as ASE's integrators move one.

    Each has random numbers of its own, so that its trajectory is the same whoever is beside it.

    Parameters
    ----------
    moving : Atoms
        All replicas, with momenta and a calculator.
    members : sequence of Atoms
        The replicas, of any sizes, in the order of the atoms.
    settings : MDSettings
        Temperature, timestep, time constant and seed.
    thermostat : str
        ``"none"`` or ``"langevin"``.
    stream : sequence of int
        Tells the random numbers of one part of a run from those of others.
    """

    def __init__(
        self,
        moving: ase.Atoms,
        members: Sequence[ase.Atoms],
        settings: MDSettings,
        thermostat: str,
        stream: Sequence[int],
    ) -> None:
        self.moving = moving
        bath = Bath(settings.temperature, thermostat, settings.time_constant)
        ends = np.cumsum([0, *(len(atoms) for atoms in members)]).tolist()
        kinds: dict[bytes, list[int]] = {}
        for k, atoms in enumerate(members):
            kinds.setdefault(atoms.get_masses().tobytes(), []).append(k)
        places = [np.arange(a, b) for a, b in pairwise(ends)]
        self._kinds: list[tuple[NDArray[np.int64], Integrator, Polymers]] = []
        for same in kinds.values():
            rows = np.array([places[k] for k in same])
            integrator = Integrator(members[same[0]].get_masses(), 1, settings.timestep, bath)
            seeds = [[settings.seed, k, *stream] for k in same]
            self._kinds.append((rows, integrator, integrator.start(moving.positions[rows], seeds)))

    def run(self, steps: int) -> None:
        """Make so many steps from where the replicas are."""
        momenta, forces = self.moving.get_momenta(), self.moving.get_forces()
        for rows, integrator, s in self._kinds:
            s.positions = (self.moving.positions[rows] * integrator.weights)[:, None]
            s.momenta = (momenta[rows] / integrator.weights)[:, None]
            self._take(rows, integrator, s, forces)
        for _ in range(steps):
            positions = self.moving.positions.copy()
            for rows, integrator, s in self._kinds:
                integrator.begin(s)
                positions[rows] = integrator.places(s)[:, 0]
            self.moving.positions = positions
            forces = self.moving.get_forces()
            for rows, integrator, s in self._kinds:
                self._take(rows, integrator, s, forces)
                integrator.finish(s)
        for rows, integrator, s in self._kinds:
            momenta[rows] = s.momenta[:, 0] * integrator.weights
        self.moving.set_momenta(momenta)

    @staticmethod
    def _take(
        rows: NDArray[np.int64], integrator: Integrator, s: Polymers, forces: NDArray[np.float64]
    ) -> None:
        integrator.take(s, np.zeros((len(rows), 1)), forces[rows][:, None])
