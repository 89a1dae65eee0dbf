"""From a checkpoint to a model file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from schnet_calc.modelfile import save_model
from schnet_calc.nn import make_network, upgraded_weights
from schnet_calc.training.checkpoint import load_checkpoint, module_tensors
from schnet_calc.training.config import RunConfig

FIRST = 10
"""Frames that were left out whose reasons stand in a model file."""


def export_model(
    checkpoint: str | Path,
    path: str | Path,
    command: str | None = None,
    test_errors: dict[str, Any] | None = None,
) -> None:
    """Write the averaged weights of a checkpoint as a model file.

    Parameters
    ----------
    checkpoint : path
        ``best.safetensors`` or ``checkpoint.safetensors``, or the folder that holds them: the best
        is taken then.
    path : path
        The model file to write.
    command : str, optional
        The command that trained it, for the metadata.
    test_errors : dict, optional
        Errors on frames never used, for the metadata.
    """
    checkpoint = Path(checkpoint)
    if checkpoint.is_dir():
        checkpoint = checkpoint / "best.safetensors"
    if not checkpoint.is_file():
        raise FileNotFoundError(f"no checkpoint {checkpoint}")
    tensors, state = load_checkpoint(checkpoint)
    config = RunConfig.from_dict(state["config"])
    network = make_network(config.model).to(getattr(torch, config.training.dtype))
    network.load_state_dict(upgraded_weights(module_tensors(tensors, "average")))
    references = {int(z): float(e) for z, e in state["references"].items()}
    training: dict[str, Any] = {
        "data": {name: _text(value) for name, value in state["info"].items()},
        "n_train": state["n_train"],
        "steps": state["step"],
        "seconds": round(state["seconds"]),
        "validation_errors": state["validation"],
        "distance_range_ang": [round(float(d), 4) for d in np.asarray(state["distance_range"])],
        "config": state["config"]["training"],
    }
    if "domain" in state:
        training["domain"] = state["domain"]
    if command:
        training["command"] = command
    if test_errors:
        training["test_errors"] = test_errors
    save_model(path, network, references, training, state.get("units"))


def _text(value: Any) -> str:
    """Return what is said of the data as a text; of frames left out how many, and the first."""
    if not isinstance(value, dict):
        return str(value)
    first = "; ".join(f"{frame}: {reason}" for frame, reason in [*value.items()][:FIRST])
    return f"{len(value)} frames, {first}{' ...' if len(value) > FIRST else ''}"
