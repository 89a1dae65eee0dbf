"""Opening model files: all that they say of themselves, without torch."""

from pathlib import Path
from typing import NamedTuple

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.archive import Archive, contents_sha256, read_archive
from schnet_calc.modelfile.finding import find_model
from schnet_calc.modelfile.metadata import Metadata, check_embedding, read_metadata


class ModelFile(NamedTuple):
    """A model file that was opened; its weights are bytes yet."""

    path: Path
    archive: Archive
    metadata: Metadata


def open_model_file(path_or_name: str | Path) -> ModelFile:
    """Find a model file or a shipped model, and read and check all but the weights.

    Parameters
    ----------
    path_or_name : path or str
        As for :func:`~schnet_calc.modelfile.load_potential`, whose errors are these and those of the weights.
    """
    path = find_model(path_or_name)
    try:
        archive = read_archive(path)
        metadata = read_metadata(path, archive.metadata)
    except ModelFileError as error:
        raise _with_hint(path, error) from error
    if metadata.contents_sha256 not in (None, contents_sha256(archive.entries)):
        raise ModelFileError(f"{path}: the contents do not have the SHA-256 that the metadata say")
    check_embedding(str(path), metadata.elements, metadata.architecture)
    return ModelFile(path, archive, metadata)


def _with_hint(path: Path, error: ModelFileError) -> ModelFileError:
    """The error of a file that is no model file, with what to do if it is another code's."""
    from schnet_calc.modelfile.importers import foreign_format  # only then

    kind = foreign_format(path)
    if kind is None:
        return error
    return ModelFileError(
        f"{path} is a {kind}: schnet-calc import {path} -o model.pt makes it a model file"
    )
