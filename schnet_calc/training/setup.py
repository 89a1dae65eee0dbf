"""What a run is made of: data, split, heads, optimiser, first weights."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import atomic_masses, chemical_symbols
from numpy.typing import NDArray

from schnet_calc.data import Frames, Labels, Split, read_frames, split_frames
from schnet_calc.modelfile import load_potential
from schnet_calc.nn import AtomwiseHead, Network, NetworkConfig, network_config, upgraded_weights
from schnet_calc.reductions import REDUCTIONS, NumpyGroups
from schnet_calc.training.checkpoint import load_checkpoint, module_tensors, restore_optimizer
from schnet_calc.training.config import DataConfig, RunConfig
from schnet_calc.training.flat import FlatWeights
from schnet_calc.training.soap import SOAP


def make_optimizer(name: str, weights: FlatWeights) -> torch.optim.Optimizer:
    """The optimiser of a name, with its rate left to the schedule."""
    if name == "soap":
        return SOAP(weights.by_shape())
    return torch.optim.Adam(weights.whole(), fused=True, amsgrad=name == "amsgrad")


def start_from(path: str, network: Network, optimizer: torch.optim.Optimizer) -> None:
    """Take over the weights of a model file, or of a checkpoint and its optimiser's state.

    Heads may differ: those that both have come along, the others keep their first weights, with a warning.

    Parameters
    ----------
    path : str
        The file.
    network : Network
        What gets the weights.
    optimizer : Optimizer
        What gets the state.
    """
    if path.endswith(".safetensors"):
        tensors, state = load_checkpoint(Path(path))
        hyperparameters = dict(state["config"]["model"])
        config: NetworkConfig = network_config(
            hyperparameters.pop("architecture", "SchNet"), hyperparameters
        )
        weights = module_tensors(tensors, "average")
        if config == network.config:
            restore_optimizer(optimizer, tensors, path)
    else:
        potential = load_potential(path)
        if potential.metadata.config is None:
            raise ValueError(f"start_from: {path} does not say which hyperparameters it has")
        config, weights = potential.metadata.config, potential.weights
    if without_heads(config) != without_heads(network.config):
        raise ValueError(f"start_from: {path} has other hyperparameters than [model] asks for")
    shared = [name for name, kind in config.heads.items() if network.config.heads.get(name) == kind]
    new = [name for name in network.config.heads if name not in shared]
    if network.config.energy and not config.energy:
        new.append("energy")
    if new:
        warnings.warn(
            f"start_from: {path} has nothing for {', '.join(new)}, which begins anew", stacklevel=2
        )
    kept = tuple(f"heads.{name}." for name in shared)
    if config.energy == network.config.energy:
        kept = (*kept, "output")
    taken = {
        name: value
        for name, value in upgraded_weights(weights).items()
        if name.startswith(kept) or not name.startswith(("heads.", "output"))
    }
    network.load_state_dict({**network.state_dict(), **taken})


def without_heads(config: NetworkConfig) -> NetworkConfig:
    """What the representation is made of, alone."""
    return replace(config, heads={}, energy=True)


def read_data(config: RunConfig, read: Callable[[str, Labels], Frames] = read_frames) -> Frames:
    """Read all frames of the data file, with the labels that are asked for.

    Parameters
    ----------
    config : RunConfig
        Names the file and the labels.
    read : callable
        Reads a file with its labels.

    Raises
    ------
    ValueError
        A label is asked for that the file doesn't have.
    """
    frames = read(config.data.file, config.data.labels)
    if not config.data.properties:
        return frames
    missing = sorted(set(config.data.properties) - set(frames.labels))
    if missing:
        raise ValueError(f"{config.data.file} has no {missing[0]!r}; it has {', '.join(frames.labels)}")
    return replace(frames, labels={name: frames.labels[name] for name in config.data.properties})


def choose_split(config: RunConfig, frames: Frames, directory: Path, resumed: bool) -> Split:
    """The split of this run: that of the run that goes on, a file's, or a new one; kept in the folder.

    Parameters
    ----------
    config : RunConfig
        Says how to split.
    frames : Frames
        All of the data.
    directory : Path
        Of the run.
    resumed : bool
        Whether it goes on.
    """
    saved, data = directory / "split.npz", config.data
    if resumed:
        return Split.load(saved, len(frames))
    if data.split not in ("random", "blocks"):
        split = Split.load(data.split, len(frames))
    else:
        split = new_split(data, frames)
    split.save(saved)
    return split


def new_split(data: DataConfig, frames: Frames) -> Split:
    """Split at random or by blocks, as a configuration says: the same whenever it is asked for.

    Frames with elements that no training frame has are left out of validation and test, with a warning.
    """
    n_train, n_validation = split_sizes(data, len(frames))
    split = split_frames(
        len(frames),
        n_train,
        n_validation,
        method=data.split,
        n_test=data.n_test,
        n_blocks=data.n_blocks,
        seed=data.split_seed,
    )
    return _without_strangers(split, frames)


def _without_strangers(split: Split, frames: Frames) -> Split:
    """The split without validation and test frames whose elements can't be learned."""
    frame = np.repeat(np.arange(len(frames)), frames.n_atoms)
    known = np.isin(frames.numbers, np.unique(frames.numbers[np.isin(frame, split.train)]))
    strange = np.unique(frame[~known])
    left = split._replace(
        validation=split.validation[~np.isin(split.validation, strange)],
        test=split.test[~np.isin(split.test, strange)],
    )
    n_left_out = sum(len(old) - len(new) for old, new in zip(split, left, strict=True))
    if not n_left_out:
        return split
    symbols = ", ".join(chemical_symbols[z] for z in np.unique(frames.numbers[~known]))
    warnings.warn(
        f"{n_left_out} frames are not used to validate or to test: no training frame has {symbols}",
        stacklevel=2,
    )
    return left


def split_sizes(data: DataConfig, n_frames: int) -> tuple[int, int]:
    """Return the numbers of frames to train on and to validate with: as asked for, or what fits the file."""
    n_train = min(1000, (8 * n_frames) // 10) if data.n_train is None else data.n_train
    n_validation = min(1000, max(n_frames // 10, 1)) if data.n_validation is None else data.n_validation
    return n_train, n_validation


def training_frames(config: RunConfig, split: Split) -> NDArray[np.int64]:
    """Return indices (n,) of the frames to train on: those of the split, or a bootstrap sample of them."""
    if not config.data.bootstrap:
        return split.train
    rng = np.random.default_rng([config.training.seed, len(split.train)])
    return np.sort(rng.choice(split.train, len(split.train)))


def check_same_config(saved: RunConfig, asked: RunConfig, path: Path, step: int) -> None:
    """Hold a run's configuration against that of its checkpoint.

    Threads, device and where the data lie may change between two parts of a run, and so may the number of
    steps, as long as it isn't below those that are made.

    Parameters
    ----------
    saved : RunConfig
        Of the checkpoint.
    asked : RunConfig
        Of now.
    path : Path
        The checkpoint, for errors.
    step : int
        Of the checkpoint.
    """
    if asked.training.steps < step:
        raise ValueError(
            f"{path} has {step} steps already, more than training.steps = {asked.training.steps}"
        )
    for section, table in _essence(saved).items():
        for key, value in _essence(asked)[section].items():
            if key in table and table[key] != value:
                raise ValueError(f"{path} was written with {section}.{key} = {table[key]!r}, not {value!r}")


def _essence(config: RunConfig) -> dict[str, Any]:
    """What has to be the same for a run to go on."""
    training = replace(config.training, threads=0, device="auto", checkpoint_minutes=1.0, steps=1)
    data = replace(config.data, file="", n_train=None, n_validation=None)  # the split is in the folder
    return replace(config, training=training, data=data).to_dict()


def with_heads(config: RunConfig, frames: Frames) -> RunConfig:
    """Return the configuration with a head for every label that needs one.

    Raises
    ------
    ValueError
        The file has no label to train on, or none for a head that the network is to have.
    """
    if not frames.labels:
        raise ValueError(f"{config.data.file} has no labels to train on")
    heads, labelled = dict(config.model.heads), set()
    energy = False
    for name in frames.labels:
        known = frames.properties[name]
        if known.reduction is None:
            energy = True
            continue
        heads.setdefault(known.head, known.reduction.name)
        labelled.add(known.head)
    if unlabelled := sorted(set(heads) - labelled):
        raise ValueError(
            f"{config.data.file} has no label for the head {unlabelled[0]!r} that [model] asks for"
        )
    return replace(config, model=replace(config.model, heads=heads, energy=energy))


def scale_heads(network: Network, frames: Frames) -> None:
    """Set scale and shift of the heads by their labels, as each reduction asks for."""
    groups = NumpyGroups(frames.positions, atomic_masses[frames.numbers], frames.n_atoms)
    for name, head in network.heads.items():
        if name not in frames.labels:
            continue
        assert isinstance(head, AtomwiseHead)
        how = REDUCTIONS[network.config.heads[name]]
        ones = how.reduce(how.parts(np.ones(len(frames.numbers)), groups), groups)
        shift, scale = how.scaling(frames.labels[name], ones)
        head.shift.fill_(shift)
        head.scale.fill_(scale)
