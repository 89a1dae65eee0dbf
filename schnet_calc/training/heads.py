"""Which heads the labels of a data set ask for, and how their numbers are scaled."""

from dataclasses import replace

import numpy as np
from ase.data import atomic_masses

from schnet_calc.data import Frames
from schnet_calc.nn import AtomwiseHead, Network
from schnet_calc.reductions import REDUCTIONS, NumpyGroups
from schnet_calc.training.config import RunConfig


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
