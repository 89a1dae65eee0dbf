"""Errors of a model on labelled frames."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis.errors import Error, Errors
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.data import Frames, Property
from schnet_calc.engine.prediction import Prediction, voigt_stress
from schnet_calc.model import Model
from schnet_calc.training.atomic_energies import predict_mean

BATCH_SIZE = 32


GRADES = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0, math.inf)
"""Edges of the groups of frames whose errors are told apart."""


class GradeGroup(NamedTuple):
    """Frames whose largest grade lies in a range."""

    low: float
    high: float
    n_frames: int
    force_rmse: float
    """eV/Å"""


@dataclass(frozen=True)
class Evaluation:
    """Outcome of :func:`evaluate`."""

    n_frames: int
    errors: Errors
    """Of the model, by name of the property; ``stress`` in eV/Å³."""
    mean_predictor: Errors
    """Of the guess from composition alone: least squares per element for energies and other numbers, no forces,
    no stress, the mean length for dipoles."""
    differences: dict[str, NDArray[np.float64]]
    """Model minus label by name, all components of the frames that have the label."""
    by_grade: tuple[GradeGroup, ...] = ()
    """How force errors go with grades; empty without either."""

    @property
    def force_differences(self) -> NDArray[np.float64]:
        """(K,) components of forces, eV/Å."""
        return self.differences.get("forces", np.zeros(0))

    @property
    def loses(self) -> list[str]:
        """Properties that composition alone predicts as well."""
        return [
            n
            for n, e in self.errors.items()
            if n in self.mean_predictor and e.mae >= self.mean_predictor[n].mae
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, in eV and in kcal/mol; stresses in GPa."""
        values = {
            "n_frames": self.n_frames,
            **self.errors.to_dict(),
            "mean_predictor": self.mean_predictor.to_dict(),
        }
        if self.by_grade:
            values["by_grade"] = [
                {"from": g.low, "to": g.high if math.isfinite(g.high) else None, "n_frames": g.n_frames}
                | {"force_rmse_ev_ang": g.force_rmse}
                for g in self.by_grade
            ]
        if "stress" in self.errors:
            values |= {
                "stress_mae_gpa": self.errors["stress"].mae / units.GPa,
                "stress_rmse_gpa": self.errors["stress"].rmse / units.GPa,
                "stress_mae_of_zero_gpa": self.mean_predictor["stress"].mae / units.GPa,
            }
        return values


def evaluate(
    model: SchNetCalculator | Model, frames: Frames, progress: Callable[[int], None] | None = None
) -> Evaluation:
    """Compare a model with labels.

    Parameters
    ----------
    model : SchNetCalculator or Model
        What predicts.
    frames : Frames
        Labelled structures; labels that the model has nothing for are left out.
    progress : callable, optional
        Called with the number of frames done.

    Raises
    ------
    ValueError
        There are no frames, or the model predicts nothing of what they are labelled with.
    """
    predictions: list[Prediction] = []
    for start in range(0, len(frames), BATCH_SIZE):
        rows = range(start, min(start + BATCH_SIZE, len(frames)))
        predictions += model.evaluate([frames.atoms(k) for k in rows])
        if progress is not None:
            progress(rows.stop)
    loaded = model.model if isinstance(model, SchNetCalculator) else model
    return compare(frames, predictions, loaded.has_energy)


def compare(frames: Frames, predictions: Sequence[Prediction], energy: bool = True) -> Evaluation:
    """Return the errors of predictions for all frames.

    Parameters
    ----------
    frames : Frames
        Labelled structures.
    predictions : sequence of Prediction
        In their order.
    energy : bool
        Whether the model has an energy.

    Raises
    ------
    ValueError
        There are no frames, or nothing to compare.
    """
    if not len(frames):
        raise ValueError("there are no frames to evaluate")
    differences, mean = {}, {}
    for name in frames.labels:
        rows: list[int] = np.flatnonzero(frames.labelled(name)).tolist()
        if not rows or (frames.properties[name].reduction is None and not energy):
            continue
        found = [_predicted(frames.properties[name], predictions[k]) for k in rows]
        if any(value is None for value in found):
            continue
        labels = [_label(name, frames, k, predictions[k]) for k in rows]
        kept = "stress" if name == "virial" else name
        differences[kept] = np.concatenate([np.ravel(a - b) for a, b in zip(found, labels, strict=True)])
        known = frames.select(np.array(rows))
        mean[kept] = _mean_error(name, known, np.concatenate([np.ravel(x) for x in labels]))
    if not differences:
        raise ValueError(f"the model predicts none of {', '.join(frames.labels)}")
    errors = Errors.from_differences(differences)
    return Evaluation(len(frames), errors, Errors(mean), differences, _by_grade(frames, predictions))


def _by_grade(frames: Frames, predictions: Sequence[Prediction]) -> tuple[GradeGroup, ...]:
    rows = np.flatnonzero(frames.labelled("forces")).tolist()
    graded = {k: float(np.max(of)) for k in rows if (of := predictions[k].grades) is not None}
    rows, grades = list(graded), np.array(list(graded.values()))
    squares = [np.mean((predictions[k].forces - frames.forces[frames.rows(k)]) ** 2) for k in rows]
    found = []
    for low, high in pairwise(GRADES):
        inside = np.flatnonzero((grades >= low) & (grades < high))
        if len(inside):
            found.append(
                GradeGroup(low, high, len(inside), math.sqrt(np.mean([squares[k] for k in inside])))
            )
    return tuple(found)


def _predicted(wanted: Property, prediction: Prediction) -> Any:
    """What a prediction says of a label; None if nothing."""
    if wanted.reduction is None:
        return prediction.stress if wanted.name == "virial" else getattr(prediction, wanted.name)
    value = prediction.outputs.get(wanted.head)
    return None if value is None else wanted.reduction.values(wanted.head, value).get(wanted.name)


def _label(name: str, frames: Frames, k: int, prediction: Prediction) -> NDArray[np.float64]:
    if name == "virial":
        return voigt_stress(frames.labels[name][k], prediction.volume)
    return np.asarray(frames.labels[name][frames.rows(k) if name == "forces" else k])


def _mean_error(name: str, frames: Frames, labels: NDArray[np.float64]) -> Error:
    """Of the mean predictor, fitted to the same frames: the best that composition alone can do."""
    if frames.properties[name].shape:
        return Error.of(labels)
    return Error.of(labels - predict_mean(frames, frames, name))
