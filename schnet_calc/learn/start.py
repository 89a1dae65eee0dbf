"""What is labelled before there is any model: minima, their vibrations, short dynamics of the reference."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ase
import numpy as np
from ase.calculators.calculator import CalculationFailed
from ase.vibrations import Vibrations

from schnet_calc.learn.diversity import NEAR_COPY, choose_diverse
from schnet_calc.learn.labelling import Reference
from schnet_calc.learn.settings import LearnSettings
from schnet_calc.simulate.md import MDSettings, run_md
from schnet_calc.simulate.modes import DISPLACEMENT, NormalModes, normal_modes
from schnet_calc.simulate.relax import relax
from schnet_calc.simulate.sampling import sample_modes
from schnet_calc.stages import told_to

FMAX, RELAXATION_STEPS = 5e-3, 300
"""eV/Å at a minimum of the reference, and steps to get there."""
SOFTEST = 100.0
"""cm⁻¹; softer modes are sampled as if they were as stiff: along straight lines, a rotor would break."""
HOT = 2.0
"""Times the temperature: of a third of the vibrations, and of the reference's dynamics."""
RATTLES = (0.05, 0.1)
"""Å, of structures whose modes aren't known."""
PUSH = 0.15
"""Å along an imaginary mode, to leave a saddle point."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Minimum:
    """Where dynamics starts."""

    atoms: ase.Atoms
    """Relaxed with the reference, unless that was not wanted; without calculator."""
    modes: NormalModes | None
    """Of the reference; None for crystals and structures that were not relaxed."""


def find_minima(
    starts: Sequence[ase.Atoms], reference: Reference, settings: LearnSettings, say: Say
) -> list[Minimum]:
    """Relax the start structures with the reference, and find its normal modes at each different minimum.

    Parameters
    ----------
    starts : sequence of Atoms
        Molecules or crystals.
    reference : Reference
        What labels; every evaluation is kept.
    settings : LearnSettings
        Whether to relax.
    say : callable
        Told what is remarkable.

    Raises
    ------
    RuntimeError
        The reference fails.
    """
    found: list[Minimum] = []
    for k, atoms in enumerate(starts):
        plain = atoms.copy()
        plain.calc = None
        plain.set_constraint()
        if not settings.relax:
            found.append(Minimum(plain, None))
            continue
        minimum = _minimum(plain, reference, say)
        if not choose_diverse([minimum.atoms], [m.atoms for m in found], 1, NEAR_COPY):
            say(f"start structure {k} relaxes to a minimum that is known already")
            continue
        found.append(minimum)
    return found


def _minimum(atoms: ase.Atoms, reference: Reference, say: Say) -> Minimum:
    if len(atoms) < 2:
        return Minimum(atoms, None)
    for attempt in range(3):
        relaxed = relax(atoms, reference.calculator("relaxation"), FMAX, RELAXATION_STEPS)
        if not relaxed.converged:
            say(f"the reference's relaxation ended with {relaxed.fmax:.1e} eV/Å: going on from there")
        atoms = relaxed.atoms.copy()
        atoms.calc = None
        if atoms.pbc.any():
            return Minimum(atoms, None)
        modes = _modes(atoms, reference)
        if not modes.n_imaginary or attempt == 2:
            return Minimum(atoms, modes)
        say(f"{modes.n_imaginary} imaginary modes: relaxing again from beside that saddle point")
        step = modes.modes[0] / np.linalg.norm(modes.modes[0], axis=1).max()
        atoms.positions += PUSH * step
    raise AssertionError("not reached")


def _modes(atoms: ase.Atoms, reference: Reference) -> NormalModes:
    """Label all displaced structures side by side; the Hessian then finds them labelled."""
    moving = atoms.copy()
    moving.info = {}
    vibrations = Vibrations(moving, name="unused", delta=DISPLACEMENT, nfree=4)
    reference.label([image for _, image in vibrations.iterdisplace()], "hessian")
    with told_to(None):
        return normal_modes(atoms, reference.calculator("hessian"))


def label_start_set(
    minima: Sequence[Minimum],
    count: int,
    reference: Reference,
    settings: LearnSettings,
    directory: Path,
    say: Say,
) -> None:
    """Label vibrations around the minima, at the temperature and hot, and frames of the reference's dynamics.

    Parameters
    ----------
    minima : sequence of Minimum
        From :func:`find_minima`.
    count : int
        Vibrations of each.
    reference, settings, say
        As there.
    directory : Path
        Of the run; dynamics gets a folder in it.
    """
    keys = reference.label([m.atoms for m in minima], "minimum")
    reference.store.reuse(keys, "minimum")  # which the relaxations have labelled already
    samples: list[ase.Atoms] = []
    for k, minimum in enumerate(minima):
        samples += vibrations_of(minimum, settings, count, settings.seed + k)
    reference.label(samples, "modes")
    if not settings.reference_steps:
        return
    for k, minimum in enumerate(minima):
        _reference_dynamics(minimum.atoms, reference, settings, directory / f"reference_md_{k}", say)


def vibrations_of(minimum: Minimum, settings: LearnSettings, count: int, seed: int) -> list[ase.Atoms]:
    """Draw structures around a minimum: two thirds at the temperature, the others hotter.

    Parameters
    ----------
    minimum : Minimum
        With its modes.
    settings : LearnSettings
        Temperature and heat.
    count : int
        Structures.
    seed : int
        Of the draw.
    """
    n_hot = count // 3
    if minimum.modes is None:
        return _rattled(minimum.atoms, count, seed)
    stiff = np.maximum(np.abs(minimum.modes.frequencies), SOFTEST)
    modes = replace(minimum.modes, atoms=minimum.atoms, frequencies=stiff)
    kelvin = settings.temperature
    warm = sample_modes(modes, kelvin, count - n_hot, seed=2 * seed)
    return warm + sample_modes(modes, HOT * kelvin, n_hot, seed=2 * seed + 1)


def _rattled(atoms: ase.Atoms, count: int, seed: int) -> list[ase.Atoms]:
    found = []
    for k in range(count):
        found.append(atoms.copy())
        found[-1].rattle(RATTLES[k % len(RATTLES)], rng=np.random.default_rng([seed, k]))
    return found


def _reference_dynamics(
    atoms: ase.Atoms, reference: Reference, settings: LearnSettings, folder: Path, say: Say
) -> None:
    """Run from the beginning, resumed or not: what is labelled is not computed again, and all is the same."""
    shutil.rmtree(folder, ignore_errors=True)
    time = settings.reference_steps * settings.timestep / 1000.0
    how = MDSettings(HOT * settings.temperature, time, settings.timestep, interval=10, seed=settings.seed)
    frames: list[ase.Atoms] = []
    try:
        run_md(
            atoms,
            reference.calculator("reference dynamics"),
            how,
            folder,
            progress=lambda step, moving: frames.append(moving.copy()),
        )
    except (RuntimeError, CalculationFailed) as error:
        say(f"the reference's dynamics ended early: {error}")
    keys = reference.store.plan(frames, "reference dynamics", 0)
    known = reference.store.entries
    reference.store.reuse([key for key in keys if known[key].kind == "reference dynamics"], "dynamics")
