"""What a run is trained on: frames, their split, batches, and the terms of the loss."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.data import Frames, Split
from schnet_calc.guard.domain import Domain
from schnet_calc.stages import in_turn
from schnet_calc.training.atomic_energies import fit_atomic_energies
from schnet_calc.training.batches import Batches
from schnet_calc.training.config import RunConfig
from schnet_calc.training.distributed import World
from schnet_calc.training.loss import Term, terms
from schnet_calc.training.setup import choose_split, read_data, training_frames, with_heads


@dataclass(frozen=True)
class RunData:
    """The labelled structures of a run and what follows from them."""

    config: RunConfig
    """With a head for every label that needs one."""
    frames: Frames
    """All of the file."""
    digest: str
    """Of them."""
    split: Split
    references: dict[int, float]
    """Energies of atoms by atomic number, eV; fitted to the training frames."""
    train: Batches
    validation: Batches
    terms: list[Term]
    domain: Domain
    """Of the training frames."""

    @classmethod
    def prepare(cls, config: RunConfig, directory: Path, world: World, resumed: bool) -> "RunData":
        """Read, split and batch the frames of a configuration.

        Parameters
        ----------
        config : RunConfig
            What to do.
        directory : path
            Of the run; keeps the split.
        world : World
            The first process chooses the split, the others hear of it.
        resumed : bool
            Whether the split is in the folder already.

        Raises
        ------
        ValueError
            Nothing to train on, or validation frames with elements that no training frame has.
        """
        frames = read_data(config)
        config = with_heads(config, frames)
        split = choose_split(config, frames, directory, resumed) if world.first else None
        split = world.tell(split)
        train, validation = frames.select(training_frames(config, split)), frames.select(split.validation)
        references = fit_atomic_energies(train, config.training.reference)
        missing = sorted(set(validation.elements) - set(references))
        if missing:
            raise ValueError(f"elements {missing} occur in validation frames, but in no training frame")
        variances = {k: float(np.nanvar(x)) for k, x in train.labels.items()}
        weighted = terms(config.training, variances, train.properties)
        if not weighted:
            raise ValueError("nothing to train on: all labels have the weight zero")
        reach, dtype = config.model.reach, getattr(torch, config.training.dtype)
        return cls(
            config=config,
            frames=frames,
            digest=frames.digest(),
            split=split,
            references=references,
            train=Batches(train, references, reach, dtype),
            validation=Batches(validation, references, reach, dtype),
            terms=weighted,
            domain=Domain.of(
                (train.structure(k) for k in in_turn("what the frames hold", range(len(train)))),
                train.energies if config.model.energy else None,
                (validation.structure(k) for k in range(len(validation))),
            ),
        )

    @property
    def batch_size(self) -> int:
        """Frames of a step; fewer than asked for where there are no more."""
        return min(self.config.training.batch_size, len(self.train))

    def rows(self, step: int) -> NDArray[np.int64]:
        """Return the (B,) training frames of a step: indices in :attr:`train`."""
        epoch, place = divmod(step, len(self.train) // self.batch_size)
        order = epoch_order(self.config.training.seed, epoch, len(self.train))
        return order[place * self.batch_size : (place + 1) * self.batch_size]

    @cached_property
    def distance_range(self) -> tuple[float, float]:
        """Shortest and longest distance of a pair in training frames, Å."""
        return self.train.distance_range()

    def to_dict(self) -> dict[str, Any]:
        """Return what a checkpoint says of the data, as plain values."""
        return {
            "distance_range": self.distance_range,
            "domain": self.domain.to_dict(),
            "info": self.frames.info,
            "units": {name: self.frames.properties[name].unit for name in self.config.model.heads},
            "data_sha256": self.digest,
            "n_train": len(self.train),
        }


@lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, n_frames: int) -> NDArray[np.int64]:
    """Return the order (n_frames,) of frames in an epoch, indices that the seed alone decides on.

    Parameters
    ----------
    seed : int
        Of the training.
    epoch : int
        Each has an order of its own.
    n_frames : int
        Frames to train on.
    """
    return np.random.default_rng([seed, epoch]).permutation(n_frames)
