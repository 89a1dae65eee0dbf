"""The state of a run in one safetensors file, replaced in one step."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from schnet_calc.folders import replaced


class Due:
    """Whether it is time for a checkpoint: after the first seconds, then ever less often.

    Parameters
    ----------
    minutes : float
        Between two checkpoints of a long run.
    """

    FIRST = 5.0
    """Seconds"""

    def __init__(self, minutes: float) -> None:
        self._most = 60.0 * minutes
        self._started = self._last = time.perf_counter()

    def __call__(self) -> bool:
        """Ask, after each step; the answer yes means that one will be written now."""
        now = time.perf_counter()
        if now - self._last <= min(self._most, max(self.FIRST, self._last - self._started)):
            return False
        self._last = now
        return True


def save_checkpoint(path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write tensors and a JSON state; a reader sees the old file or the new one, never a half.

    Parameters
    ----------
    path : Path
        The file.
    tensors : dict
        Weights and moments (...,) by name, in the units of training.
    state : dict
        Plain values.
    """
    contiguous = {name: x.detach().cpu().contiguous().clone() for name, x in tensors.items()}
    with replaced(path, synced=True) as scratch:
        save_file(contiguous, scratch, {"state": json.dumps(state)})


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors (...,) and the state, in the units of training, that :func:`save_checkpoint` wrote."""
    with safe_open(path, framework="pt") as archive:
        metadata = archive.metadata() or {}
        if "state" not in metadata:
            raise ValueError(f"{path} is a safetensors file, but not a checkpoint of a training run")
        tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    return tensors, json.loads(metadata["state"])


def module_tensors(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The weights (...,) that were saved under a name: ``"network"`` or ``"average"``."""
    prefix = name + "."
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments (...,) by the number of what is optimised, and by their name."""
    return {
        f"optimizer.{k}.{name}": value
        for k, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], path: str | Path
) -> None:
    """Put the moments back.

    Parameters
    ----------
    optimizer : Optimizer
        Of the same weights.
    tensors : dict
        Of a checkpoint, moments (...,) among them.
    path : path
        Where they were read, for errors.

    Raises
    ------
    ValueError
        They are those of other weights, or of weights in another order.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, place, key = name.split(".")
            state.setdefault(int(place), {})[key] = value
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    for number, moments in state.items():
        means = [moments[name] for name in ("mean", "exp_avg") if name in moments]
        if number >= len(weights) or [m.shape for m in means] != [weights[number].shape]:
            raise ValueError(
                f"{path} has an optimiser's state of another layout, as earlier versions wrote it: "
                "start from a model file instead"
            )
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
