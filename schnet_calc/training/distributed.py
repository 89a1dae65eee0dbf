"""Training on several processes or hosts: ``torchrun`` starts them, each takes its share of every batch."""

import atexit
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor


class World(NamedTuple):
    """The processes of a run, and which of them this one is."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The frames (n,) of a batch (B,), both indices, that this process takes."""
        return indices[self.rank :: self.size]

    def add_up(self, values: Sequence[Tensor]) -> None:
        """Replace tensors (...,) of any units by their sums over the processes, in one message."""
        if self.size == 1:
            return
        flat = torch.cat([v.reshape(-1) for v in values])
        dist.all_reduce(flat)
        for value, part in zip(values, flat.split([v.numel() for v in values]), strict=True):
            value.copy_(part.view_as(value))

    def tell(self, value: Any) -> Any:
        """What the first process says, on all of them."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


def join_world(device: torch.device, batch_size: int) -> World:
    """The processes that torchrun has started, or this one alone.

    Raises
    ------
    ValueError
        There are more processes than frames in a batch.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    if batch_size < size:
        raise ValueError(f"batch_size = {batch_size} is too little for {size} processes")
    if not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group(_backend(device))
        atexit.register(dist.destroy_process_group)
    return World(dist.get_rank(), dist.get_world_size())


def _backend(device: torch.device) -> str:
    """NCCL for tensors on GPUs; it refuses processes that share one."""
    if device.type != "cuda" or int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > torch.cuda.device_count():
        return "gloo"
    return "cpu:gloo,cuda:nccl"  # objects through NCCL would each be copied to the GPU and back


def local_device(name: str) -> str:
    """The GPU of this process where ``"auto"`` or ``"cuda"`` leaves the choice."""
    rank = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID"))
    if rank is None or name not in ("auto", "cuda") or not torch.cuda.is_available():
        return name
    return f"cuda:{int(rank) % torch.cuda.device_count()}"  # Slurm may show each process its own GPU only
