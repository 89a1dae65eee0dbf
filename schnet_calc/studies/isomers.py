"""Energies alone against energies and forces, on isomers: Table 5.5 of the thesis with iso17-xtb.

``examples/isomers/sample.py`` makes the frames of C7H10O2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schnet_calc.analysis.errors import Errors
from schnet_calc.data import Frames, Split, read_frames
from schnet_calc.model import Model
from schnet_calc.modelfile import shipped_models
from schnet_calc.studies.configs import config_folder
from schnet_calc.studies.kept import MeanErrors, Progress, steps_of
from schnet_calc.training import RunConfig, evaluate
from schnet_calc.training.workflow import train

FORMULA = {6: 7, 1: 10, 8: 2}
"""Atoms by atomic number."""
KINDS = ("known molecules", "unknown molecules")


def are_isomers(frames: Frames) -> NDArray[np.bool_]:
    """Return a mask (M,) of the frames that are molecules of C7H10O2.

    Parameters
    ----------
    frames : Frames
        Molecules.
    """
    frame = np.repeat(np.arange(len(frames)), frames.n_atoms)
    fits = frames.n_atoms == sum(FORMULA.values())
    for number, count in FORMULA.items():
        fits &= np.bincount(frame[frames.numbers == number], minlength=len(frames)) == count
    return np.asarray(fits)


def held_out_isomers(data: str | Path, split: str | Path) -> dict[str, Frames]:
    """Return the frames to test with: of molecules that were trained on, and of those that were not.

    Parameters
    ----------
    data, split : path
        As ``examples/isomers/sample.py`` writes them.
    """
    frames = read_frames(data)
    chosen = Split.load(split, len(frames))
    with np.load(data) as archive:
        molecule = archive["qm9_row"]
    known = np.isin(molecule[chosen.test], molecule[chosen.train])
    return {KINDS[0]: frames.select(chosen.test[known]), KINDS[1]: frames.select(chosen.test[~known])}


PAPER = {
    ("energies alone", "known molecules"): MeanErrors(0.52, 4.13),
    ("energies alone", "unknown molecules"): MeanErrors(3.11, 5.71),
    ("energies and forces", "known molecules"): MeanErrors(0.36, 1.00),
    ("energies and forces", "unknown molecules"): MeanErrors(2.40, 2.18),
    ("mean predictor", "known molecules"): MeanErrors(14.89, 19.56),
    ("mean predictor", "unknown molecules"): MeanErrors(15.54, 19.15),
}
"""Table 5.5, trained on 400,000 frames with other labels."""
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
    found: MeanErrors
    n_frames: int

    @property
    def paper(self) -> MeanErrors:
        """What the thesis reports."""
        return PAPER[self.trained_on, self.kind]

    def cells(self) -> list[str]:
        """Return the row as words: errors, each beside the thesis's."""
        numbers = (x for both in zip(self.found, self.paper, strict=True) for x in both)
        return [self.trained_on, self.kind, *(f"{x:.2f}" for x in numbers)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "trained_on": self.trained_on,
            "kind": self.kind,
            "energy_mae_kcal_mol": self.found.energy,
            "force_mae_kcal_mol_ang": self.found.force,
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
            tested = evaluate(loaded, frames)
            rows.append(IsomerErrors(name, kind, MeanErrors.of(tested.errors), tested.n_frames))
    return rows + [_mean_row(kind, frames) for kind, frames in sets.items()]


def _mean_row(kind: str, frames: Frames) -> IsomerErrors:
    """Row of the mean of the energies, all isomers having the same atoms, and of no forces."""
    energies, forces = frames.labels["energy"], frames.labels["forces"]
    found = MeanErrors.of(Errors.of(energies - energies.mean(), forces))
    return IsomerErrors("mean predictor", kind, found, len(frames))
