"""Errors of a model on labelled frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis.errors import Errors
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.data import Frames
from schnet_calc.engine.prediction import Prediction, voigt_stress

BATCH_SIZE = 32


@dataclass(frozen=True)
class Evaluation:
    """Outcome of :func:`evaluate`."""

    n_frames: int
    errors: Errors
    """Of the model."""
    mean_predictor: Errors
    """Of the guess that every frame has the mean energy per atom, and no forces."""
    energy_differences: NDArray[np.float64]
    """(M,) model minus label, eV."""
    force_differences: NDArray[np.float64]
    """(3A,) components, model minus label, eV/Å."""
    stress_differences: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(6M',) components, model minus label, eV/Å³, of the frames that have labels for it."""
    stress_labels: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(6M',) eV/Å³"""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, in eV and in kcal/mol."""
        return {
            "n_frames": self.n_frames,
            **self.errors.to_dict(),
            "mean_predictor": self.mean_predictor.to_dict(),
            **self._stress(),
        }

    def _stress(self) -> dict[str, float]:
        if not len(self.stress_labels):
            return {}
        off = self.stress_differences / units.GPa
        return {
            "stress_mae_gpa": float(np.abs(off).mean()),
            "stress_rmse_gpa": float(np.sqrt((off**2).mean())),
            "stress_mae_of_zero_gpa": float(np.abs(self.stress_labels).mean() / units.GPa),
        }


def evaluate(
    calculator: SchNetCalculator,
    frames: Frames,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Compare a model with labels.

    Parameters
    ----------
    calculator : SchNetCalculator
        The model.
    frames : Frames
        Labelled structures.
    progress : callable, optional
        Called with the number of frames done.
    """
    predictions: list[Prediction] = []
    for start in range(0, len(frames), BATCH_SIZE):
        rows = range(start, min(start + BATCH_SIZE, len(frames)))
        predictions += calculator.evaluate([frames.atoms(k) for k in rows])
        if progress is not None:
            progress(rows.stop)
    return compare(frames, predictions)


def compare(frames: Frames, predictions: Sequence[Prediction]) -> Evaluation:
    """The errors of predictions for all frames.

    Raises
    ------
    ValueError
        There are no frames.
    """
    if not len(frames):
        raise ValueError("there are no frames to evaluate")
    energy, force, stress, labels = [], [], [np.zeros(0)], [np.zeros(0)]
    for k, prediction in enumerate(predictions):
        energy.append(prediction.energy - frames.energies[k])
        force.append((prediction.forces - frames.forces[frames.rows(k)]).ravel())
        if frames.virials is not None and np.isfinite(frames.virials[k]).all():
            labels.append(voigt_stress(frames.virials[k], prediction.volume))
            stress.append(prediction.stress - labels[-1])
    per_atom = frames.energies.sum() / frames.n_atoms.sum()
    mean = Errors.of(frames.energies - per_atom * frames.n_atoms, frames.forces.ravel())
    energy_off, force_off = np.array(energy), np.concatenate(force)
    errors = Errors.of(energy_off, force_off)
    stresses = (np.concatenate(stress), np.concatenate(labels))
    return Evaluation(len(frames), errors, mean, energy_off, force_off, *stresses)
