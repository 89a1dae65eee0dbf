"""Numbers below 10^-38, which cost a processor up to a hundred times as much as others."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def no_subnormals() -> Iterator[None]:
    """Let this thread round float32 numbers below 10^-38 to zero for a while.

    Second moments of an optimiser are such numbers wherever gradients are small: they made a step on QM9 take three
    times as long.
    """
    smallest = torch.tensor(1e-40)
    before = bool(smallest * 1.0 == 0.0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
