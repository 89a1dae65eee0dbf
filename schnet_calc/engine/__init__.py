"""From structures to predictions."""

from collections.abc import Sequence

import torch

from schnet_calc.device import choose_device
from schnet_calc.engine.base import Engine
from schnet_calc.engine.committee import Committee
from schnet_calc.engine.fused import FusedEngine, supports
from schnet_calc.engine.prediction import Prediction
from schnet_calc.engine.torchscript import ScriptEngine
from schnet_calc.modelfile.potential import Potential

ENGINES = {"script": ScriptEngine, "fused": FusedEngine}


def make_engine(
    potential: Potential | Sequence[Potential],
    engine: str = "auto",
    device: str = "auto",
    dtype: str | None = None,
) -> Engine | Committee:
    """The engine of a potential, or of several as a committee.

    Parameters
    ----------
    potential : Potential or sequence of Potential
        Loaded models.
    engine : str
        ``"fused"`` (SchNet only), ``"script"`` (any model), or ``"auto"``: fused where it can.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda[:N]"``.
    dtype : str, optional
        ``"float32"`` or ``"float64"``; that of the file by default.

    Raises
    ------
    ValueError
        An engine, device or dtype that there isn't, or that the model doesn't have.
    """
    if not isinstance(potential, Potential):
        engines = [_single(p, engine, device, dtype) for p in potential]
        return engines[0] if len(engines) == 1 else Committee(engines)
    return _single(potential, engine, device, dtype)


def _single(potential: Potential, engine: str, device: str, dtype: str | None) -> Engine:
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f"dtype is 'float32', 'float64' or None, got {dtype!r}")
    if engine == "auto":
        engine = "fused" if supports(potential) else "script"
    if engine not in ENGINES:
        raise ValueError(f"engine is 'auto', 'fused' or 'script', got {engine!r}")
    chosen = getattr(torch, dtype) if dtype else potential.dtype
    return ENGINES[engine](potential, choose_device(device), chosen)


__all__ = [
    "Committee",
    "Engine",
    "FusedEngine",
    "Prediction",
    "ScriptEngine",
    "make_engine",
]
