"""What a model file says of its training data, for the guard: made by training, or later for any file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schnet_calc.data import Frames, Labels, Split, read_frames
from schnet_calc.engine import Engine, make_engine
from schnet_calc.guard.check import LEAST_RANGE
from schnet_calc.guard.domain import Domain
from schnet_calc.guard.statistics import statistics_of_data
from schnet_calc.modelfile import Potential, load_potential
from schnet_calc.modelfile.grades import Grades
from schnet_calc.modelfile.saving import rewrite_model
from schnet_calc.stages import in_turn
from schnet_calc.training.config import RunConfig
from schnet_calc.training.setup import new_split, read_data, training_frames

Progress = Callable[[int], None]
COMPARED = 20
"""Frames that tell whether a model's energies have the zero of its data."""


def frames_of_training(
    data: str | Path,
    split: str | Path | None = None,
    labels: Labels | None = None,
    changes: dict[str, Any] | None = None,
) -> tuple[Frames, Frames | None]:
    """Return the frames that a model was trained on, and those that it was validated with, if known.

    Parameters
    ----------
    data : path
        The labelled structures, or the TOML file of the training, which names data and split.
    split : path, optional
        A split.npz of the training; otherwise that of the TOML file, or all frames are training frames.
    labels : Labels, optional
        How labels are called in the data.
    changes : dict, optional
        Settings in place of the TOML file's.
    """
    if Path(data).suffix == ".toml":
        config = RunConfig.from_toml(data).changed(changes or {})
        frames = read_data(config)
        named = split or config.data.split
        drawn = named in ("random", "blocks")
        chosen = new_split(config.data, frames) if drawn else Split.load(named, len(frames))
        return frames.select(training_frames(config, chosen)), frames.select(chosen.validation)
    frames = read_frames(data, labels)
    if split is None:
        return frames, None
    chosen = Split.load(split, len(frames))
    return frames.select(chosen.train), frames.select(chosen.validation)


def grades_of_model(
    potential: Potential, train: Frames, unseen: Frames | None, progress: Progress | None = None
) -> tuple[Grades | None, dict[str, float]]:
    """Return how frames spread in a model's last hidden layers, and the grades of whole molecules by composition.

    None and nothing for a network that is none of this package.

    Parameters
    ----------
    potential : Potential
        The model.
    train : Frames
        What it was trained on.
    unseen : Frames, optional
        What the limits are taken from.
    progress : callable, optional
        Called with the number of training frames done.
    """
    if not potential.native:
        return None, {}
    engine = make_engine([potential])
    assert isinstance(engine, Engine)
    return statistics_of_data(engine, train, unseen, progress)


def known_energies(potential: Potential, train: Frames) -> NDArray[np.float64] | None:
    """Return the labels (M,), eV, that a model's energies can be held against.

    None if it has none, or another zero than the data.
    """
    config, labelled = potential.metadata.config, np.flatnonzero(np.isfinite(train.energies))
    if not len(labelled) or (config is not None and not config.energy):
        return None
    some = labelled[np.linspace(0, len(labelled) - 1, min(COMPARED, len(labelled))).astype(int)].tolist()
    found = make_engine([potential], device="cpu").evaluate([train.structure(k) for k in some], [])
    off = [abs(p.energy - train.energies[k]) / train.n_atoms[k] for p, k in zip(found, some, strict=True)]
    return train.energies if np.median(off) < LEAST_RANGE else None


def add_knowledge(
    model: str | Path,
    output: str | Path,
    train: Frames,
    unseen: Frames | None = None,
    *,
    state: tuple[int, int] = (0, 1),
    progress: Progress | None = None,
) -> Domain:
    """Write a model file anew with what its training data hold; its weights stay what they are.

    Parameters
    ----------
    model : path or str
        A model file or the name of a shipped model.
    output : path
        The file to write; it may be the same.
    train, unseen : Frames
        What the model was trained on and validated with.
    state : (int, int)
        Charge in e, and multiplicity, of all structures.
    progress : callable, optional
        Called with the number of training frames done.
    """
    potential = load_potential(model)
    grades, wholes = grades_of_model(potential, train, unseen, progress)
    structures = (train.structure(k) for k in in_turn("what the frames hold", range(len(train))))
    others = () if unseen is None else (unseen.structure(k) for k in range(len(unseen)))
    found = Domain.of(structures, known_energies(potential, train), others)
    found = replace(found, charge=state[0], multiplicity=state[1], grades=wholes)
    training = {**potential.metadata.training, "domain": found.to_dict()}
    rewrite_model(output, potential, training, grades)
    return found


def add_grades(path: Path, grades: Grades | None, wholes: dict[str, float]) -> None:
    """Write statistics for the guard into a model file: of atoms, and of whole molecules by composition.

    Parameters
    ----------
    path : Path
        The model file, which is replaced.
    grades : Grades, optional
        Statistics of atoms.
    wholes : dict of float
        Largest root mean square of a molecule's grades by composition.
    """
    potential = load_potential(path)
    training = potential.metadata.training
    if wholes and "domain" in training:
        training = {**training, "domain": {**training["domain"], "grades": wholes}}
    rewrite_model(path, potential, training, grades)
