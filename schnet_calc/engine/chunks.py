"""Batches in portions of bounded size."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

Item = TypeVar("Item")


def chunked(items: Iterable[Item], size: Callable[[Item], int], most: float) -> Iterator[list[Item]]:
    """Lists of items, in order, whose sizes add up to no more than this; of one item where that is larger.

    Items are asked for one at a time: what comes after a portion is made when that one is done.

    Parameters
    ----------
    items : iterable
        Of any kind.
    size : callable
        What an item counts.
    most : float
        A list may add up to.
    """
    portion: list[Item] = []
    filled = 0
    for item in items:
        if portion and filled + size(item) > most:
            yield portion
            portion, filled = [], 0
        portion.append(item)
        filled += size(item)
    if portion:
        yield portion


def is_out_of_memory(error: Exception) -> bool:
    """CUDA has a class of its own for it; torch's CPU allocator and TorchScript have only words."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    words = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, kinds) or any(w in str(error) for w in words)
