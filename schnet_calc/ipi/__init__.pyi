from .client import Client as Client, Served as Served
from .connection import Address as Address
from .errors import (
    ProtocolError as ProtocolError,
    ServerLostError as ServerLostError,
    StructureError as StructureError,
    WorkerError as WorkerError,
)
from .worker import ModelSpec as ModelSpec, ProcessWorker as ProcessWorker
