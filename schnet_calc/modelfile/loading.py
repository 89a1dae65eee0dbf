"""Reading model files; nothing in them is run."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.archive import WEIGHTS, Archive, contents_sha256, read_archive
from schnet_calc.modelfile.finding import find_model
from schnet_calc.modelfile.metadata import Metadata, check_embedding, read_metadata
from schnet_calc.modelfile.potential import Potential, weights_sha256


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
    path = find_model(path_or_name)
    try:
        archive = read_archive(path)
    except ModelFileError as error:
        raise _with_hint(path, error) from error
    metadata = read_metadata(path, archive.metadata)
    if metadata.contents_sha256 not in (None, contents_sha256(archive.entries)):
        raise ModelFileError(f"{path}: the contents do not have the SHA-256 that the metadata say")
    check_embedding(str(path), metadata.elements, metadata.architecture)
    potential = Potential(metadata, _weights(path, archive, metadata), str(path.resolve()), archive)
    potential.network()  # whether the weights fit is known before anybody waits for a result
    return potential


def _weights(path: Path, archive: Archive, metadata: Metadata) -> dict[str, torch.Tensor]:
    """The plain weights, in a type that the network can have."""
    if not archive.weights:
        return {}
    try:
        weights = load_safetensors(archive.weights)
    except (SafetensorError, KeyError) as error:
        raise ModelFileError(f"{path}: {WEIGHTS} is not in that format ({error})") from error
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


def _with_hint(path: Path, error: ModelFileError) -> ModelFileError:
    """The error of a file that is no model file, with what to do if it is another code's."""
    from schnet_calc.modelfile.importers import foreign_format  # only then

    kind = foreign_format(path)
    if kind is None:
        return error
    return ModelFileError(
        f"{path} is a {kind}: schnet-calc import {path} -o model.pt makes it a model file"
    )
