"""Several structures behind one engine: who asks for one of them has all evaluated together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase import units
from ase.io.trajectory import Trajectory

from schnet_calc.analysis.averages import Estimate, mean_of_independent
from schnet_calc.calculator import FreshCalculator, SchNetCalculator
from schnet_calc.simulate.equilibration import degrees_of_freedom, first_momenta
from schnet_calc.simulate.md import run_md
from schnet_calc.simulate.md_files import MDRun, MDSettings
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.structure import Structure

INDEPENDENT = ("none", "langevin")
"""Thermostats that act on every atom on its own: replicas that share one stay independent."""


class Replica(FreshCalculator):
    """The calculator of one structure of a batch; made by :func:`share_batch`."""

    name = "schnet"
    implemented_properties = SchNetCalculator.implemented_properties

    def __init__(self, batch: "_SharedBatch") -> None:
        super().__init__()
        self._batch = batch

    def _evaluated(self, structure: Structure) -> dict[str, Any]:
        return self._batch.update(self, structure)


class _SharedBatch:
    """Structures and their replicas."""

    def __init__(self, structures: Sequence[ase.Atoms], calculator: SchNetCalculator) -> None:
        self.calculator = calculator
        self.members = [(atoms, Replica(self)) for atoms in structures]

    def update(self, asking: Replica, structure: Structure) -> dict[str, Any]:
        """Evaluate all that have changed; the results of the one that asks."""
        stale = [(a, r) for a, r in self.members if r is not asking and r.check_state(a)]
        found = self.calculator.evaluate([structure.to_atoms(), *(a for a, _ in stale)])
        for (atoms, replica), prediction in zip(stale, found[1:], strict=True):
            replica.atoms = atoms
            replica.results = self.calculator.results_of(prediction)
        return self.calculator.results_of(found[0])


def share_batch(structures: Sequence[ase.Atoms], calculator: SchNetCalculator) -> None:
    """Give structures calculators that evaluate all of them in one batch, whenever one of them is asked.

    For ASE's NEB, for several optimisers, for anything that moves all structures before it looks at any.

    Parameters
    ----------
    structures : sequence of Atoms
        Of any sizes; their ``calc`` is set.
    calculator : SchNetCalculator
        What evaluates them.
    """
    for atoms, replica in _SharedBatch(structures, calculator).members:
        atoms.calc = replica


class Joined(FreshCalculator):
    """Replicas as one large system without interaction between them, for integrators that act on atoms.

    Replicas of the same atoms are evaluated as arrays; further outputs, dipoles say, are not computed.
    """

    implemented_properties = ("energy", "energies", "forces")

    def __init__(self, structures: Sequence[ase.Atoms], calculator: SchNetCalculator) -> None:
        super().__init__()
        self._structures = [Structure.from_atoms(atoms) for atoms in structures]
        self._model = calculator.model
        self._states = [self._model.guard.odd_state(atoms) for atoms in structures]
        self._cells = np.stack([s.cell for s in self._structures])
        self._alike = not any(self._states) and _alike(self._structures)
        self.potentials = calculator.potentials
        cells = [[*a.cell.array.ravel().tolist(), *map(bool, a.pbc)] for a in structures]
        self.identity = {"replicas": [len(a) for a in structures], "cells": cells}
        """What else has to be the same for a run to go on."""

    def _evaluated(self, structure: Structure) -> dict[str, Any]:
        if self._alike:
            first = self._structures[0]
            places = structure.positions.reshape(len(self._structures), -1, 3)
            found = self._model.totals(Geometries(first.numbers, places, self._cells, first.pbc))
            energies, forces = found.atomic.ravel(), found.forces.reshape(-1, 3)
            grades = None if found.grades is None else found.grades.ravel()
        else:
            ends = np.cumsum([len(s.numbers) for s in self._structures])[:-1]
            each_place = np.split(structure.positions, ends)
            moved = [s._replace(positions=x) for s, x in zip(self._structures, each_place, strict=True)]
            each = self._model.evaluate(moved, [], self._states)
            energies = np.concatenate([p.energies for p in each])
            forces = np.concatenate([p.forces for p in each])
            graded = [p.grades for p in each if p.grades is not None]
            grades = np.concatenate(graded) if graded else None
        results = {"energy": float(energies.sum()), "energies": energies, "forces": forces}
        return results if grades is None else {**results, "grades": grades}


def _alike(structures: Sequence[Structure]) -> bool:
    """Whether these are the same atoms, periodic along the same directions."""
    first = structures[0]
    return all(
        np.array_equal(s.numbers, first.numbers) and np.array_equal(s.pbc, first.pbc) for s in structures
    )


def parts(structures: Sequence[ase.Atoms]) -> list[slice]:
    """The rows of each structure where all are joined."""
    ends = np.cumsum([0, *(len(atoms) for atoms in structures)])
    return [slice(a, b) for a, b in pairwise(ends.tolist())]


@dataclass(frozen=True)
class ReplicaRun:
    """Outcome of :func:`run_replicas`; the frames stay on disk, joined."""

    run: MDRun
    """Its log has the means over the replicas, its trajectory all of them as one system."""
    structures: list[ase.Atoms]
    """The first structures: species, cells and momenta of each replica."""

    def frames(self, k: int) -> Iterator[ase.Atoms]:
        """Replica k through time, with momenta; ``info["energy"]`` is its potential energy, eV."""
        rows = parts(self.structures)[k]
        with Trajectory(self.run.trajectory) as trajectory:
            for joined in trajectory:
                atoms = self.structures[k].copy()
                atoms.positions = joined.positions[rows]
                atoms.set_momenta(joined.get_momenta()[rows])
                atoms.info["energy"] = float(joined.get_potential_energies()[rows].sum())
                yield atoms

    def averages(self, thermostat: str) -> dict[str, Estimate]:
        """Return means over replicas and time, with errors from the scatter of the replicas.

        Parameters
        ----------
        thermostat : str
            Of the run: it tells which momenta take up heat.
        """
        rows = parts(self.structures)
        free = [degrees_of_freedom(atoms, thermostat) for atoms in self.structures]
        found = []
        for joined in self.run.late_frames():
            energies, momenta = joined.get_potential_energies(), joined.get_momenta()
            shares = 0.5 * (momenta**2).sum(axis=1) / joined.get_masses()
            found.append([(energies[part].sum(), shares[part].sum()) for part in rows])
        potential, kinetic = np.mean(found, axis=0).T
        columns = {
            "potential_ev": potential,
            "kinetic_ev": kinetic,
            "total_ev": potential + kinetic,
            "temperature_k": 2.0 * kinetic / (np.maximum(free, 1) * units.kB),
        }
        return {name: mean_of_independent(values) for name, values in columns.items()}


def run_replicas(
    structures: Sequence[ase.Atoms],
    calculator: SchNetCalculator,
    settings: MDSettings,
    directory: str | Path,
    resume: bool = False,
    progress: Callable[[int, ase.Atoms], None] | None = None,
) -> ReplicaRun:
    """Molecular dynamics of independent replicas, one batch per step.

    Parameters
    ----------
    structures : sequence of Atoms
        Where to start, of any sizes; not changed. Momenta are used where there are any, else drawn, for
        every replica others.
    calculator : SchNetCalculator
        For all of them.
    settings : MDSettings
        Its thermostat is one of :data:`INDEPENDENT`.
    directory, resume, progress
        As for :func:`~schnet_calc.simulate.md.run_md`.

    Raises
    ------
    ValueError
        No structures, constraints, a thermostat that would couple the replicas, or replicas that start from
        the same momenta and would stay the same.
    FileExistsError
        As :func:`~schnet_calc.simulate.md.run_md`.
    """
    if not structures:
        raise ValueError("there are no replicas to run")
    if settings.thermostat not in INDEPENDENT:
        raise ValueError(
            f"replicas share a thermostat that acts on each atom alone ({', '.join(INDEPENDENT)}), "
            f"got {settings.thermostat!r}"
        )
    if any(atoms.constraints for atoms in structures):
        raise ValueError("replicas with constraints are not supported: run them one by one")
    if settings.thermostat == "none":
        _check_different(structures)
    started = [first_momenta(a, settings.temperature, [settings.seed, k]) for k, a in enumerate(structures)]
    run = run_md(
        _join(started),
        Joined(started, calculator),
        settings,
        directory,
        resume=resume,
        progress=progress,
        members=list(structures),
    )
    return ReplicaRun(run, started)


def _check_different(structures: Sequence[ase.Atoms]) -> None:
    seen: dict[bytes, int] = {}
    for k, atoms in enumerate(structures):
        if not np.any(atoms.get_momenta()):
            continue
        other = seen.setdefault(atoms.positions.tobytes() + atoms.get_momenta().tobytes(), k)
        if other != k:
            raise ValueError(
                f"replicas {other} and {k} have the same positions and momenta: no thermostat parts them"
            )


def _join(structures: Sequence[ase.Atoms]) -> ase.Atoms:
    joined = ase.Atoms(
        np.concatenate([a.numbers for a in structures]),
        np.concatenate([a.positions for a in structures]),
        masses=np.concatenate([a.get_masses() for a in structures]),
    )
    joined.set_momenta(np.concatenate([a.get_momenta() for a in structures]))
    return joined
