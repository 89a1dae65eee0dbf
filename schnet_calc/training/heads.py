"""Which heads the labels of a data set ask for, and how their numbers are scaled."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from schnet_calc.data import Frames
from schnet_calc.nn import AtomwiseHead, Network
from schnet_calc.training.config import RunConfig

ENERGY = {"energy", "forces", "virial"}


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
    for name in frames.labels:
        if name not in ENERGY:
            source = frames.properties[name].source
            head = "dipole" if source == "charges" else name
            heads.setdefault(head, source)
            labelled.add(head)
    if unlabelled := sorted(set(heads) - labelled):
        raise ValueError(
            f"{config.data.file} has no label for the head {unlabelled[0]!r} that [model] asks for"
        )
    energy = bool(ENERGY & set(frames.labels))
    return replace(config, model=replace(config.model, heads=heads, energy=energy))


def scale_heads(network: Network, frames: Frames) -> None:
    """Set scale and shift of the heads to the spread and the mean of the labels, per atom for sums."""
    for name, head in network.heads.items():
        if network.config.heads[name] == "charges" or name not in frames.labels:
            continue
        assert isinstance(head, AtomwiseHead)
        if network.config.heads[name] == "extent":
            head.shift.fill_(_mean_charge(frames, frames.labels[name]))
            head.scale.copy_(head.shift)
            continue
        values = frames.labels[name] / (frames.n_atoms if network.config.heads[name] == "sum" else 1)
        head.shift.fill_(float(np.nanmean(values)))
        head.scale.fill_(float(np.nanstd(values)) or 1.0)


def _mean_charge(frames: Frames, labels: NDArray[np.float64]) -> float:
    """What all atoms would have if they were alike, from second moments (M,)."""
    moments = np.array([frames.structure(k).extents.sum() for k in range(len(frames))])
    known = np.isfinite(labels)
    return float(labels[known].sum() / max(moments[known].sum(), 1e-12))
