"""SchNetPack with our settings, for comparisons in the same run; it has to be installed by hand."""

import os
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.utils.data.dataloader
from ase import Atoms

from schnet_calc.data import Frames
from schnet_calc.nn import SchNetConfig

# SchNetPack imports a name that torch has dropped; it stands in an annotation only.
setattr(torch.utils.data.dataloader, "T_co", TypeVar("T_co", covariant=True))  # noqa: B010
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schnetpack as spk
    from schnetpack.interfaces import AtomsConverter, SpkCalculator
    from schnetpack.transform import MatScipyNeighborList


def network(config: SchNetConfig) -> torch.nn.Module:
    """The same number of blocks, features, Gaussians and the same cutoff; random weights."""
    representation = spk.representation.SchNet(
        n_atom_basis=config.n_features,
        n_interactions=config.n_interactions,
        radial_basis=spk.nn.GaussianRBF(n_rbf=config.n_gaussians, cutoff=config.cutoff),
        cutoff_fn=spk.nn.CosineCutoff(config.cutoff),
    )
    return spk.model.NeuralNetworkPotential(
        representation=representation,
        input_modules=[spk.atomistic.PairwiseDistances()],
        output_modules=[
            spk.atomistic.Atomwise(n_in=config.n_features, output_key="energy"),
            spk.atomistic.Forces(energy_key="energy", force_key="forces"),
        ],
    )


def training_step(config: SchNetConfig, frames: Frames, batch_size: int) -> Callable[[], None]:
    """Forward, backward and AdamW on batches that lie ready: no reading, no pairs, no EMA.

    Parameters
    ----------
    config : SchNetConfig
        Of the network.
    frames : Frames
        What is trained on.
    batch_size : int
        Frames of a step.
    """
    model = network(config).train()
    convert = AtomsConverter(MatScipyNeighborList(config.cutoff), dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    mean = frames.energies.mean()
    batches = []
    for start in range(0, len(frames) - batch_size + 1, batch_size):
        rows = np.arange(start, start + batch_size)
        part = frames.select(rows)
        inputs = convert([part.atoms(k) for k in range(batch_size)])
        energies, forces = torch.from_numpy(part.energies - mean), torch.from_numpy(part.forces)
        batches.append((inputs, energies.float(), forces.float()))
    return partial(_make_step, model, optimizer, cycle(batches))


def _make_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, batches: Iterator[Any]) -> None:
    inputs, energies, forces = next(batches)
    optimizer.zero_grad()
    result = model(dict(inputs))
    loss = 0.01 * ((result["energy"] - energies) ** 2).mean()
    loss = loss + ((result["forces"] - forces) ** 2).mean()
    loss.backward()
    optimizer.step()


def batch_step(config: SchNetConfig, atoms: Atoms, count: int) -> Callable[[], object]:
    """Energies and forces of a batch whose pairs lie ready.

    Parameters
    ----------
    config : SchNetConfig
        Of the network.
    atoms : Atoms
        What is evaluated.
    count : int
        Copies of it.
    """
    model = network(config).eval()
    inputs = AtomsConverter(MatScipyNeighborList(config.cutoff), dtype=torch.float32)([atoms] * count)
    return lambda: model(dict(inputs))


def calculator(config: SchNetConfig, folder: Path, skin: bool = False) -> SpkCalculator:
    """SchNetPack's calculator with its fastest neighbour list; with a skin if asked.

    Parameters
    ----------
    config : SchNetConfig
        Of the network.
    folder : Path
        For the model file.
    skin : bool
        Whether lists are kept between steps.
    """
    # SchNetPack loads a whole module; the file is our own, of a moment ago.
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    path = folder / "peer_model"
    torch.save(network(config).eval(), path)
    neighbors = MatScipyNeighborList(config.cutoff)
    if skin:
        neighbors = spk.transform.SkinNeighborList(neighbors, cutoff_skin=1.0)
    return SpkCalculator(
        str(path),
        neighbor_list=neighbors,
        energy_key="energy",
        force_key="forces",
        energy_unit="eV",
        position_unit="Ang",
        device="cpu",
    )
