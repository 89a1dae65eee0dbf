"""Energies alone against energies and forces, on isomers: Table 5.5 of the thesis with iso17-xtb."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from schnet_calc.analysis.errors import KCAL_MOL
from schnet_calc.data import Frames
from schnet_calc.model import Model
from schnet_calc.modelfile import shipped_models
from schnet_calc.studies.configs import config_folder
from schnet_calc.studies.isomer_data import held_out_isomers
from schnet_calc.studies.kept import Progress, steps_of
from schnet_calc.training import Evaluation, RunConfig, evaluate
from schnet_calc.training.workflow import train


class Published(NamedTuple):
    """Mean absolute errors of Table 5.5, trained on 400,000 frames with other labels."""

    energy: float
    """kcal/mol"""
    force: float
    """kcal/mol/Å"""


PAPER = {
    ("energies alone", "known molecules"): Published(0.52, 4.13),
    ("energies alone", "unknown molecules"): Published(3.11, 5.71),
    ("energies and forces", "known molecules"): Published(0.36, 1.00),
    ("energies and forces", "unknown molecules"): Published(2.40, 2.18),
    ("mean predictor", "known molecules"): Published(14.89, 19.56),
    ("mean predictor", "unknown molecules"): Published(15.54, 19.15),
}
MODELS = {
    "energies alone": ("isomers_energies", "energies.toml"),
    "energies and forces": ("isomers", "forces.toml"),
}
"""Shipped model and its configuration, by what it was trained on."""


@dataclass(frozen=True)
class IsomerErrors:
    """A model on frames that it was not trained with."""

    trained_on: str
    """A key of :data:`MODELS`, or ``"mean predictor"``."""
    kind: str
    """One of :data:`KINDS`."""
    energy: float
    """Mean absolute error, kcal/mol."""
    force: float
    """Mean absolute error of a component, kcal/mol/Å."""
    n_frames: int

    @property
    def paper(self) -> Published:
        """What the thesis reports."""
        return PAPER[self.trained_on, self.kind]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "trained_on": self.trained_on,
            "kind": self.kind,
            "energy_mae_kcal_mol": self.energy,
            "force_mae_kcal_mol_ang": self.force,
            "n_frames": self.n_frames,
            "published": self.paper._asdict(),
        }


def isomer_rows(
    data: str | Path | None = None,
    directory: str | Path | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> list[IsomerErrors]:
    """Test energies alone against energies and forces, on known and on unknown molecules: Table 5.5.

    Parameters
    ----------
    data : path, optional
        Folder with ``frames.npz`` and ``split.npz``; those that come along by default.
    directory : path, optional
        Train there, or go on, instead of testing the shipped models.
    steps : int, optional
        Of the trainings, in place of the configurations'.
    progress : callable, optional
        Called with a label, steps or frames done, and their number.

    Raises
    ------
    FileNotFoundError
        No data, or no shipped model.
    """
    folder = Path(data) if data is not None else config_folder("isomers")
    sets = held_out_isomers(folder / "frames.npz", folder / "split.npz")
    rows = []
    for name, (model, config) in MODELS.items():
        source: str | Path = model
        if directory is not None:
            settings = RunConfig.from_toml(config_folder("isomers") / config).changed(
                {"file": str(folder / "frames.npz"), "split": str(folder / "split.npz")}
            )
            settings = settings if steps is None else settings.changed({"steps": steps})
            train(settings, Path(directory) / model, resume=True, progress=steps_of(progress, name))
            source = Path(directory) / model / "model.pt"
        elif model not in shipped_models():
            raise FileNotFoundError(
                f"there is no shipped model {model!r}: train it, with --no-evaluate-only"
            )
        loaded = Model(source, on_doubt="ignore")
        for kind, frames in sets.items():
            rows.append(_row(name, kind, evaluate(loaded, frames)))
    return rows + [_mean_row(kind, frames) for kind, frames in sets.items()]


def _row(name: str, kind: str, tested: Evaluation) -> IsomerErrors:
    errors = tested.errors.to_dict()
    return IsomerErrors(
        name, kind, errors["energy_mae_kcal_mol"], errors["force_mae_kcal_mol_ang"], tested.n_frames
    )


def _mean_row(kind: str, frames: Frames) -> IsomerErrors:
    """Row of the mean of the energies, all isomers having the same atoms, and of no forces."""
    energies, forces = frames.labels["energy"], frames.labels["forces"]
    energy = float(np.abs(energies - energies.mean()).mean()) / KCAL_MOL
    return IsomerErrors(
        "mean predictor", kind, energy, float(np.abs(forces).mean()) / KCAL_MOL, len(frames)
    )
