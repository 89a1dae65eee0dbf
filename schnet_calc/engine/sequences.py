"""Which sequence evaluates a network on a GPU: kernels, or tensor operations where they don't run."""

import copy
import importlib.util
import logging
import os

import torch

from schnet_calc.engine.recordings import Recordable
from schnet_calc.kernels.cuda.batch import Batch
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.nn import SchNet

logger = logging.getLogger(__name__)


def best_sequence(
    network: SchNet, grid: SplineGrid, device: torch.device, dtype: torch.dtype
) -> Recordable:
    """Return what evaluates a float64 network on a device: kernels where they run, or else tensor operations.

    Parameters
    ----------
    network : SchNet
        In float64, on the CPU.
    grid : SplineGrid
        Of the tables of its filters, Å.
    device, dtype
        Of the evaluation.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if (device.type == "cuda") == interpreted:
        return TensorSequence(network, grid, device, dtype)
    if importlib.util.find_spec("triton") is None:
        why = "there is no Triton (pip install 'schnet-calc[cuda]')"
    else:
        from schnet_calc.kernels.cuda.sequence import FusedSequence

        sequence = FusedSequence(copy.deepcopy(network), grid, device, dtype)
        try:
            sequence(Batch.empty(1, 1, 1, device))  # compiles most of them
            return sequence
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # no C compiler, an old driver, a card that Triton doesn't know ...
            why = f"its kernels could not be compiled: {type(error).__name__}: {error}"
    logger.warning("a GPU takes several times as long as it could: %s", why)
    return TensorSequence(network, grid, device, dtype)
