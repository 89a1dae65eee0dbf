"""From structures to predictions."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch

from schnet_calc.checks import check_choice
from schnet_calc.device import choose_device
from schnet_calc.engine.base import Engine as Engine
from schnet_calc.engine.chunks import is_out_of_memory
from schnet_calc.engine.committee import Committee as Committee
from schnet_calc.engine.compiled import CompiledEngine as CompiledEngine
from schnet_calc.engine.crossover import CrossoverEngine
from schnet_calc.engine.cuda import CudaEngine as CudaEngine
from schnet_calc.engine.device_lists import DeviceSearch
from schnet_calc.engine.prediction import Prediction as Prediction, Totals as Totals
from schnet_calc.engine.support import supports
from schnet_calc.engine.torchscript import TorchScriptEngine as TorchScriptEngine
from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile import Potential
from schnet_calc.structures.neighbors import NeighborLists

logger = logging.getLogger(__name__)

ENGINES = ("auto", "compiled", "script")
"""What may be asked for."""


def make_engine(
    potentials: Sequence[Potential],
    engine: str = "auto",
    device: str = "auto",
    dtype: str | None = None,
    lists: NeighborLists | None = None,
    grades: bool = False,
) -> Engine | Committee:
    """Return the engine of a potential, or of several as a committee.

    Parameters
    ----------
    potentials : sequence of Potential
        Loaded models.
    engine : str
        ``"compiled"`` (any SchNet), ``"script"`` (automatic differentiation of any model; runs the TorchScript
        of foreign files), or ``"auto"``: compiled where it can, never TorchScript of a file.
    device : str
        ``"cpu"``, ``"cuda[:N]"``, or ``"auto"``: on a machine with a GPU a SchNet is evaluated there or on the
        CPU, whichever takes less time for a batch of that size; all else, and committees, on the GPU.
    dtype : str, optional
        ``"float32"`` or ``"float64"``; that of the file by default.
    lists : NeighborLists, optional
        Shared with others that look at the same batches.
    grades : bool
        Whether predictions say how far atoms are from the training data, where the file says.

    Raises
    ------
    ValueError
        An engine, device or dtype that there isn't, or that the model doesn't have.
    ModelFileError
        A foreign file, and ``engine`` is not ``"script"``.
    MemoryError
        The GPU that was asked for is full; ``"auto"`` takes the CPU then.
    """
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f"dtype is 'float32', 'float64' or None, got {dtype!r}")
    check_choice("engine", engine, ENGINES)
    lists, chosen = lists or NeighborLists(), choose_device(device)
    if not grades:
        potentials = [replace(p, grades=None) for p in potentials]
    try:
        engines = _each(potentials, engine, chosen, dtype, lists)
    except RuntimeError as error:
        if chosen.type == "cpu" or not is_out_of_memory(error):
            raise
        words = f"{chosen} has no memory left for a model, other programs have taken it ({error!s:.80})"
        if device != "auto":
            raise MemoryError(f"{words}; device='cpu' needs none of it") from error
        logger.warning("%s: the CPU evaluates", words)
        engines = _each(potentials, engine, torch.device("cpu"), dtype, lists)
    if engines[0].device.type == "cuda":
        lists.search = DeviceSearch(engines[0].device)
    if len(engines) > 1:
        return Committee(engines)
    if device == "auto" and isinstance(engines[0], CudaEngine):
        cpu = CompiledEngine(engines[0].potential, torch.device("cpu"), engines[0].dtype, lists)
        return CrossoverEngine(cpu, engines[0])
    return engines[0]


def _each(
    potentials: Sequence[Potential],
    engine: str,
    device: torch.device,
    dtype: str | None,
    lists: NeighborLists,
) -> list[Engine]:
    types = [getattr(torch, dtype) if dtype else p.dtype for p in potentials]
    return [_single(p, engine, device, t, lists) for p, t in zip(potentials, types, strict=True)]


def _single(
    potential: Potential, engine: str, device: torch.device, dtype: torch.dtype, lists: NeighborLists
) -> Engine:
    if not potential.native and engine == "auto":
        raise ModelFileError(
            f"{potential.path} holds a network that is none of this package: its TorchScript, code of its "
            "author, would be run. If you trust the file, ask for it: engine='script' (--engine script)"
        )
    if engine == "script" or (engine == "auto" and not supports(potential)):
        return TorchScriptEngine(potential, device, dtype, lists)
    kind = CompiledEngine if device.type == "cpu" else CudaEngine
    return kind(potential, device, dtype, lists)
