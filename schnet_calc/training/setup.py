"""What a run is made of: data, split, optimiser, first weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from schnet_calc.data import Frames, Split, read_frames, split_frames
from schnet_calc.modelfile import load_potential
from schnet_calc.nn import Network, NetworkConfig, network_config, upgraded_weights
from schnet_calc.training.checkpoint import load_checkpoint, module_tensors, restore_optimizer
from schnet_calc.training.config import RunConfig
from schnet_calc.training.soap import SOAP


def make_optimizer(name: str, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a name, with its rate left to the schedule."""
    if name == "soap":
        return SOAP(network.parameters())
    return torch.optim.Adam(network.parameters(), fused=True, amsgrad=name == "amsgrad")


def start_from(path: str, network: Network, optimizer: torch.optim.Optimizer) -> None:
    """Take over the weights of a model file, or of a checkpoint and its optimiser's state."""
    if path.endswith(".safetensors"):
        tensors, state = load_checkpoint(Path(path))
        hyperparameters = dict(state["config"]["model"])
        config: NetworkConfig | None = network_config(
            hyperparameters.pop("architecture", "SchNet"), hyperparameters
        )
        weights = module_tensors(tensors, "average")
        restore_optimizer(optimizer, tensors)
    else:
        potential = load_potential(path)
        config, weights = potential.metadata.config, potential.weights
    if config != network.config:
        raise ValueError(f"start_from: {path} has other hyperparameters than [model] asks for")
    network.load_state_dict(upgraded_weights(weights))


def read_data(config: RunConfig) -> Frames:
    """All frames of the data file."""
    data = config.data
    return read_frames(
        data.file,
        energy_key=data.energy_key,
        forces_key=data.forces_key,
        energy_unit=data.energy_unit,
        length_unit=data.length_unit,
        stress_key=data.stress_key,
        stress_convention=data.stress_convention,
        stress_unit=data.stress_unit,
    )


def choose_split(config: RunConfig, frames: Frames, directory: Path, resumed: bool) -> Split:
    """The split of this run: that of the run that goes on, a file's, or a new one; kept in the folder."""
    saved, data = directory / "split.npz", config.data
    if resumed:
        return _checked(Split.load(saved), frames, saved)
    if data.split not in ("random", "blocks"):
        split = _checked(Split.load(data.split), frames, Path(data.split))
    else:
        split = split_frames(
            len(frames),
            data.n_train,
            data.n_validation,
            method=data.split,
            n_test=data.n_test,
            n_blocks=data.n_blocks,
            seed=data.split_seed,
        )
    split.save(saved)
    return split


def training_frames(config: RunConfig, split: Split) -> NDArray[np.int64]:
    """Indices of the frames to train on: those of the split, or a bootstrap sample of them."""
    if not config.data.bootstrap:
        return split.train
    rng = np.random.default_rng([config.training.seed, len(split.train)])
    return np.sort(rng.choice(split.train, len(split.train)))


def _checked(split: Split, frames: Frames, path: Path) -> Split:
    split.check(len(frames), path)
    return split


def check_same_config(saved: RunConfig, asked: RunConfig, path: Path) -> None:
    """Threads, device and where the data lie may change between two parts of a run; nothing else."""

    def essence(config: RunConfig) -> dict[str, Any]:
        training = replace(config.training, threads=0, device="auto")
        return replace(config, training=training, data=replace(config.data, file="")).to_dict()

    for section, table in essence(saved).items():
        for key, value in essence(asked)[section].items():
            if key in table and table[key] != value:
                raise ValueError(f"{path} was written with {section}.{key} = {table[key]!r}, not {value!r}")
