"""i-PI drives a model: client, worker process, custom potential, input files and outputs."""

from schnet_calc.ipi.client import Client, Served
from schnet_calc.ipi.connection import Address
from schnet_calc.ipi.errors import ProtocolError, ServerLostError, StructureError, WorkerError
from schnet_calc.ipi.worker import ModelSpec, ProcessWorker

__all__ = [
    "Address",
    "Client",
    "ModelSpec",
    "ProcessWorker",
    "ProtocolError",
    "Served",
    "ServerLostError",
    "StructureError",
    "WorkerError",
]
