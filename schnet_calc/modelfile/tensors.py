"""The safetensors of a model file, measured before they are parsed."""

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from schnet_calc.errors import ModelFileError

LARGEST_HEADER = 2**20
"""Bytes that names, types and shapes may have; those of a model have some thousand."""


def read_tensors(path: object, name: str, content: bytes) -> dict[str, Tensor]:
    """Return the tensors (...,) of an entry by name, weights or other numbers.

    Parameters
    ----------
    path, name
        Of file and entry, for messages.
    content : bytes
        Of the entry.

    Raises
    ------
    ModelFileError
        It is not in that format, or says more of itself than a model has to.
    """
    header = int.from_bytes(content[:8], "little")
    if LARGEST_HEADER < header < len(content):
        raise ModelFileError(
            f"{path}: {name} begins with {header} bytes of names, more than the {LARGEST_HEADER} that are read"
        )
    try:
        return load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelFileError(f"{path}: {name} is not in that format ({error})") from error
