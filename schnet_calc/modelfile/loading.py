"""Reading model files; nothing in them is run."""

from dataclasses import replace
from pathlib import Path

import torch

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.archive import WEIGHTS, Archive
from schnet_calc.modelfile.grades import Grades
from schnet_calc.modelfile.metadata import Metadata
from schnet_calc.modelfile.opening import open_model_file
from schnet_calc.modelfile.potential import Potential, weights_sha256
from schnet_calc.modelfile.tensors import read_tensors


def load_potential(path_or_name: str | Path) -> Potential:
    """Read a model file or a shipped model; its TorchScript is not loaded.

    Parameters
    ----------
    path_or_name : path or str
        ``"runs/ethanol/model.pt"``, or a shipped name such as ``"c20"``.

    Raises
    ------
    FileNotFoundError
        There is no such file or name.
    ModelFileError
        The file is no TorchScript archive, lacks metadata, is newer than this package, holds entries
        that no model has, its contents don't have the hash that it says, or its weights don't fit.
    """
    path, archive, metadata = open_model_file(path_or_name)
    potential = Potential(metadata, _weights(path, archive, metadata), str(path.resolve()), archive)
    network = potential.network()  # whether the weights fit is known before anybody waits for a result
    if network is None or not archive.grades:
        return potential
    return replace(
        potential, grades=Grades.from_bytes(str(path), archive.grades, network, metadata.elements)
    )


def _weights(path: Path, archive: Archive, metadata: Metadata) -> dict[str, torch.Tensor]:
    """The plain weights, in a type that the network can have."""
    if not archive.weights:
        return {}
    weights = read_tensors(path, WEIGHTS, archive.weights)
    for name, tensor in weights.items():
        if tensor.dtype not in (torch.float32, torch.float64, torch.int64):
            raise ModelFileError(f"{path}: {name} is of type {tensor.dtype}, not float32 or float64")
    if metadata.config is None:
        return {}
    said = metadata.weights_sha256
    if said is None:
        raise ModelFileError(f"{path}: the metadata hold no weights_sha256 for {WEIGHTS}")
    if weights_sha256(weights) != said:
        raise ModelFileError(f"{path}: the weights do not have the SHA-256 that the metadata say")
    return weights
