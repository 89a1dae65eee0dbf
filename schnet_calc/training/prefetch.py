"""Batches that are put together while the GPU works on the one before."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from schnet_calc.training.batches import TrainingBatch


class Ahead:
    """The batches of a run by step; on a GPU the next one is made, in pinned memory, while this one is used.

    Parameters
    ----------
    make : callable
        Step -> batch on the CPU; called from a thread.
    device : torch.device
        Where batches are wanted.
    """

    def __init__(self, make: Callable[[int], TrainingBatch], device: torch.device) -> None:
        self.make, self.device = make, device
        self._next: tuple[int, Future[TrainingBatch]] | None = None
        self._thread = ThreadPoolExecutor(1) if device.type != "cpu" else None

    def take(self, step: int) -> TrainingBatch:
        """Return the batch of a step on the device; steps usually come in their order."""
        if self._thread is None:
            return self.make(step)
        ahead, self._next = self._next, None
        if (
            ahead is None or ahead[0] != step
        ):  # one at a time: the order of the frames is kept between calls
            ahead = (step, self._thread.submit(self._made, step))
        batch = ahead[1].result()
        self._next = (step + 1, self._thread.submit(self._made, step + 1))
        return batch.to(self.device)

    def _made(self, step: int) -> TrainingBatch:
        batch = self.make(step)
        return batch.pinned() if self.device.type == "cuda" else batch
