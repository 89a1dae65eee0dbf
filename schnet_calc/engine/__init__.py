"""From structures to predictions."""

import torch

from schnet_calc.device import choose_device
from schnet_calc.engine.base import Engine
from schnet_calc.engine.fused import FusedEngine, supports
from schnet_calc.engine.prediction import Prediction
from schnet_calc.engine.script import ScriptEngine
from schnet_calc.potential import Potential

ENGINES = {"script": ScriptEngine, "fused": FusedEngine}


def make_engine(
    potential: Potential,
    engine: str = "auto",
    device: str = "auto",
    dtype: torch.dtype | None = None,
) -> Engine:
    """The engine of a potential.

    Parameters
    ----------
    potential : Potential
        A loaded model.
    engine : str
        ``"fused"`` (SchNet only), ``"script"`` (any model), or ``"auto"``: fused where it can.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda[:N]"``.
    dtype : torch.dtype, optional
        That of the file by default.
    """
    if engine == "auto":
        engine = "fused" if supports(potential) else "script"
    if engine not in ENGINES:
        raise ValueError(f"engine is 'auto', 'fused' or 'script', got {engine!r}")
    return ENGINES[engine](potential, choose_device(device), dtype or potential.dtype)


__all__ = [
    "Engine",
    "FusedEngine",
    "Prediction",
    "ScriptEngine",
    "make_engine",
]
