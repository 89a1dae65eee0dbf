"""The worker process, which holds the model: ``python -m schnet_calc.ipi.worker_process DESCRIPTOR``."""

import os
import sys
from functools import partial
from multiprocessing.connection import Connection

import torch

from schnet_calc.data import read_structure
from schnet_calc.ipi.errors import WorkerError
from schnet_calc.ipi.evaluator import Evaluator
from schnet_calc.ipi.wire import Reply, Request
from schnet_calc.ipi.worker import Evaluate, ModelSpec, receive, send, serve
from schnet_calc.model import Model

STUCK = 75
"""Status of a process that has lost its GPU."""


def build(spec: ModelSpec) -> Evaluator:
    """The evaluator of a specification."""
    if spec.threads:
        torch.set_num_threads(spec.threads)
    model = Model(spec.models, spec.device, spec.dtype, spec.engine, spec.on_doubt, spec.max_forces_std)
    return Evaluator(model, read_structure(spec.structure), spec.energies)


def ending_when_stuck(evaluate: Evaluate, request: Request) -> Reply:
    """Evaluate; errors of CUDA after which a process can't use a GPU again end it.

    The client starts another one, which evaluates the request again.
    """
    try:
        return evaluate(request)
    except RuntimeError as error:
        if is_sticky(error):
            print(f"the GPU is lost to this process: {error}", file=sys.stderr, flush=True)
            os._exit(STUCK)
        raise


def is_sticky(error: RuntimeError) -> bool:
    """Whether CUDA answers every further call with this error, too; out of memory it goes on."""
    return "CUDA error" in str(error) and not isinstance(error, torch.OutOfMemoryError)


def main() -> None:
    """Load the model that the first message names, then serve."""
    connection = Connection(int(sys.argv[1]))
    try:
        evaluate = build(receive(connection))
    except Exception as error:
        send(connection, WorkerError(f"the worker could not load its model: {error}"))
    else:
        serve(connection, partial(ending_when_stuck, evaluate))
    connection.close()
    # Threads of numerical libraries have nothing left to say.
    os._exit(0)


if __name__ == "__main__":
    main()
