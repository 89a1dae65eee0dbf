"""Where a run of dynamics starts: momenta of a temperature, and vibrations that have it too."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import ase
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

from schnet_calc.simulate.md_files import MDSettings
from schnet_calc.simulate.modes import rigid_motions
from schnet_calc.simulate.replica_dynamics import ReplicaDynamics

Show = Callable[[int, ase.Atoms], None]


def degrees_of_freedom(atoms: ase.Atoms, thermostat: str) -> int:
    """Momenta that can take up heat: 3N, less the rigid motions that stand still and stay so.

    Langevin's random forces excite all 3N; the other integrators conserve the total momentum and, for
    molecules, the angular momentum.
    """
    n_free = 3 * len(atoms)
    if thermostat == "langevin" or len(atoms) < 2:
        return n_free
    scale = 1e-8 + 1e-6 * float(np.abs(atoms.get_momenta()).sum())
    if np.abs(atoms.get_momenta().sum(axis=0)).max() < scale:
        n_free -= 3
    if not atoms.pbc.any() and np.abs(atoms.get_angular_momentum()).max() < 10 * scale:
        n_free -= len(rigid_motions(atoms)) - 3
    return n_free


def first_momenta(atoms: ase.Atoms, temperature: float, seed: int | list[int]) -> ase.Atoms:
    """Return a copy with its own momenta, or if it has none with drawn ones, free of rigid motion.

    Parameters
    ----------
    atoms : Atoms
        Not changed.
    temperature : float
        K.
    seed : int or list of int
        Of the draw.
    """
    moving = atoms.copy()
    if not np.any(moving.get_momenta()):
        rng = np.random.default_rng(seed)
        thermalize_momenta(moving, temperature_K=temperature, rng=rng)
        stop_rigid_motion(moving)
    return moving


def stop_rigid_motion(atoms: ase.Atoms) -> None:
    """Project translation and, for molecules (linear ones too), rotation out of the momenta."""
    if len(atoms) < 2:
        return
    weights = np.sqrt(atoms.get_masses())[:, None]
    rigid = rigid_motions(atoms)[: 3 if atoms.pbc.any() else None]
    velocities = (atoms.get_momenta() / weights).ravel()
    velocities -= rigid.T @ (rigid @ velocities)
    atoms.set_momenta(velocities.reshape(-1, 3) * weights)


def equilibration_time(settings: MDSettings, members: Sequence[ase.Atoms]) -> float:
    """Return for how many ps a run is equilibrated: as its settings say, or as it needs.

    By default replicas and runs without thermostat are, for ten time constants: momenta drawn at a minimum are half
    of the energy that vibrations have at a temperature. What comes with momenta of its own goes on from them.

    Parameters
    ----------
    settings : MDSettings
        Of the run.
    members : sequence of Atoms
        The replicas, or the one structure.
    """
    if settings.equilibrate is not None:
        return settings.equilibrate
    started = any(np.any(atoms.get_momenta()) for atoms in members)
    if started or (settings.thermostat != "none" and len(members) == 1):
        return 0.0
    return 0.01 * settings.time_constant


def _langevin(
    moving: ase.Atoms, members: Sequence[ase.Atoms], settings: MDSettings
) -> Langevin | ReplicaDynamics:
    """ASE's for one system, which may have constraints; for replicas that of ring polymers."""
    if len(members) > 1:
        return ReplicaDynamics(moving, members, settings, "langevin", [2])
    rng: Any = np.random.default_rng([settings.seed, 2])
    friction = 1.0 / (settings.time_constant * units.fs)
    step, kelvin = settings.timestep * units.fs, settings.temperature
    return Langevin(moving, step, temperature_K=kelvin, friction=friction, rng=rng, fixcm=False)


def equilibrate(
    moving: ase.Atoms,
    members: Sequence[ase.Atoms],
    settings: MDSettings,
    picoseconds: float,
    progress: Show | None = None,
) -> None:
    """Move atoms with their calculator under Langevin's thermostat, writing nothing, then stop rigid motions.

    They are stopped for each of the members (and not for a run with that thermostat, which excites them): a run
    without thermostat starts from a canonical distribution of the vibrations, at rest.

    Parameters
    ----------
    moving : Atoms
        With momenta and a calculator; changed.
    members : sequence of Atoms
        Whose rows the atoms are, one after the other.
    settings : MDSettings
        Temperature, timestep, time constant and seed.
    picoseconds : float
        How long.
    progress : callable, optional
        Called with the step and the atoms at every interval; steps are negative: those that are left.
    """
    dynamics = _langevin(moving, members, settings)
    left = round(1000.0 * picoseconds / settings.timestep)
    while left > 0:
        if progress is not None:
            progress(-left, moving)
        dynamics.run(min(settings.interval, left))
        left -= settings.interval
    if settings.thermostat == "langevin" or moving.constraints:
        return
    ends = np.cumsum([0, *(len(atoms) for atoms in members)])
    for member, (first, last) in zip(members, pairwise(ends.tolist()), strict=True):
        alone = member.copy()
        alone.positions = moving.positions[first:last]
        alone.set_momenta(moving.get_momenta()[first:last])
        stop_rigid_motion(alone)
        momenta = moving.get_momenta()
        momenta[first:last] = alone.get_momenta()
        moving.set_momenta(momenta)
