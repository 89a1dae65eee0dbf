"""The one place where TorchScript of a file is loaded, and so may run: see SECURITY.md."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.potential import Potential

ARGUMENTS = ["self", "numbers", "positions", "pairs", "shifts", "system"]


@contextmanager
def quiet_torchscript() -> Iterator[None]:
    """Silence the deprecation of TorchScript: the file carries its weights for that day."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..*")
        yield


def load_torchscript(potential: Potential) -> torch.jit.ScriptModule:
    """Load the TorchScript of a foreign file: code of its author runs.

    Raises
    ------
    ModelFileError
        TorchScript can't load it, or its ``forward`` is not that of the contract.
    """
    path = potential.path
    try:
        with quiet_torchscript():
            module = torch.jit.load(io.BytesIO(potential.archive.rebuilt()), map_location="cpu").eval()
    except Exception as error:  # of many kinds, none of them documented
        raise ModelFileError(
            f"{path} is not a model file: TorchScript says {str(error).partition(chr(10))[0]!r}"
        ) from error
    forward = getattr(module, "forward", None)
    if forward is None:
        raise ModelFileError(f"{path}: the TorchScript module has no forward method")
    names = [a.name for a in forward.schema.arguments]
    if names != ARGUMENTS:
        raise ModelFileError(f"{path}: forward takes {names[1:]}, but the contract is {ARGUMENTS[1:]}")
    return module
