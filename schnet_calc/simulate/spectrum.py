"""Spectra of dynamics: classical, of many replicas, or of path integrals (TRPMD)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis.averages import Estimate, mean_of_independent
from schnet_calc.analysis.spectra import INVCM_FS, check_sampling, infrared_spectrum, vibrational_spectrum
from schnet_calc.analysis.spectrum import Spectrum
from schnet_calc.model import Model
from schnet_calc.simulate.dynamics import Dynamics, rotations_onto
from schnet_calc.simulate.stiffest import stiffest_guess, stiffest_mode
from schnet_calc.stages import in_turn
from schnet_calc.structures.structure import Structure

FloatArray = NDArray[np.float64]
BATCH = 512
"""Structures whose dipoles are evaluated at a time."""


@dataclass(frozen=True)
class DynamicSpectra:
    """Outcome of :func:`spectra`."""

    vibrational: Spectrum
    """Vibrational density of states."""
    infrared: Spectrum | None
    """Absorption; None of a model without dipoles."""
    temperature: Estimate
    """K that the motion had."""
    asked: float
    """K of the settings."""
    notes: tuple[str, ...] = ()
    """What a reader should know."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "temperature_k": self.temperature.to_dict(),
            "asked_temperature_k": self.asked,
            "notes": list(self.notes),
            "vibrational": self.vibrational.to_dict(),
            "infrared": self.infrared.to_dict() if self.infrared else None,
        }


def check_ensemble(run: Dynamics, resolution: float) -> str | None:
    """Refuse dynamics that a thermostat has made another one of; return a word on what it may have changed.

    Parameters
    ----------
    run : Dynamics
        With its thermostat known.
    resolution : float
        cm⁻¹ that the thermostat may broaden a line by.

    Raises
    ------
    ValueError
        Langevin's friction broadens the lines by more, or path integrals with thermostats on the centroid.
    """
    if run.kind == "path integral":
        if run.thermostat != "pimd":
            return None
        raise ValueError(
            "path integrals with thermostats on all modes have no dynamics: run pimd with --method trpmd"
        )
    if run.thermostat == "none":
        return None
    if run.thermostat == "langevin":
        width = INVCM_FS / (2.0 * np.pi * run.time_constant)
        if width > resolution:
            raise ValueError(
                f"the thermostat langevin with a time constant of {run.time_constant:g} fs broadens lines by "
                f"{width:.0f} cm⁻¹, more than the resolution of {resolution:.0f} cm⁻¹: run md with "
                "--thermostat none"
            )
        return f"langevin with {run.time_constant:g} fs broadens lines by {width:.1f} cm⁻¹"
    return f"the thermostat {run.thermostat} was on: lines may be broader than without"


def spectra(
    runs: Sequence[Dynamics],
    model: Model | None = None,
    quantum: str = "harmonic",
    resolution: float | None = None,
    turned: bool = False,
) -> DynamicSpectra:
    """Return density of states and, with a model that has dipoles, infrared absorption of runs together.

    Parameters
    ----------
    runs : sequence of Dynamics
        Of one molecule and one kind; all their replicas are pooled.
    model : Model, optional
        That the dipoles are taken from, in batches along the trajectories; a path integral's dipole is the mean
        over its beads. It tells how far apart frames may lie, too.
    quantum : str
        Correction of the lineshape, as for :func:`~schnet_calc.analysis.spectra.infrared_spectrum`.
    resolution : float, optional
        cm⁻¹, as for :func:`~schnet_calc.analysis.spectra.spectrum`.
    turned : bool
        Whether dipoles are turned with the frames onto the first one: a stiff molecule that rotates has lines then,
        and no branches beside them.

    Raises
    ------
    ValueError
        The runs have other time steps, a run is too short, its frames lie too far apart for the stiffest mode, or
        its thermostat has changed the dynamics.
    """
    steps = {run.timestep for run in runs}
    if len(steps) != 1:
        raise ValueError(f"runs of different time between frames can't be joined: {sorted(steps)} fs")
    timestep, first = steps.pop(), runs[0]
    start = first.atoms.copy()
    start.positions = first.beads[0][0][0]
    check_sampling(timestep, stiffest_guess(start) if model is None else stiffest_mode(start, model))
    by_positions = any(run.momenta is None for run in runs)
    series = [x for run in runs for x in (run.positions if by_positions else run.momenta or [])]
    density = vibrational_spectrum(
        series, first.atoms.get_masses(), timestep, positions=by_positions, resolution=resolution
    )
    notes = dict.fromkeys(check_ensemble(run, density.resolution) for run in runs)
    reached = mean_of_independent(np.concatenate([run.temperatures() for run in runs]))
    absorption = None
    if model is not None and "dipole" in model.outputs:
        dipoles = _dipoles([(run.atoms, beads) for run in runs for beads in run.beads], model)
        if turned:
            centroids = [positions for run in runs for positions in run.positions]
            dipoles = [
                np.einsum("ma,mab->mb", mu, rotations_onto(start, x))
                for mu, x in zip(dipoles, centroids, strict=True)
            ]
        absorption = infrared_spectrum(dipoles, timestep, reached.value, quantum, resolution=resolution)
    kept = tuple(note for note in notes if note)
    return DynamicSpectra(density, absorption, reached, first.asked, kept)


def _dipoles(replicas: Sequence[tuple[ase.Atoms, Sequence[FloatArray]]], model: Model) -> list[FloatArray]:
    """(M, 3) e·Å for the frames of each replica, the mean over its beads."""
    totals = [np.zeros((len(beads[0]), 3)) for _, beads in replicas]
    parts = [
        (k, frames[first : first + BATCH], first)
        for k, (_, beads) in enumerate(replicas)
        for frames in beads
        for first in range(0, len(frames), BATCH)
    ]
    for k, part, first in in_turn("dipoles, batches", parts):
        atoms = replicas[k][0]
        alone = Structure.from_atoms(atoms)._replace(pbc=np.zeros(3, dtype=bool))
        odd = [model.guard.odd_state(atoms)] * len(part)
        found = model.evaluate([alone._replace(positions=x) for x in part], ["dipole"], odd)
        totals[k][first : first + len(part)] += [p.outputs["dipole"] for p in found]
    return [total / len(beads) for total, (_, beads) in zip(totals, replicas, strict=True)]
