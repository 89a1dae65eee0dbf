"""Threads for compiled loops, which run beside each other because they let go of Python's lock."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


@cache
def thread_pool(n_threads: int) -> ThreadPoolExecutor:
    """The pool of so many threads, made once."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="schnet")


def _after_fork() -> None:
    """A child makes threads of its own, and leaves OpenMP alone, which would wait for its parent's."""
    thread_pool.cache_clear()
    torch.set_num_threads(1)


os.register_at_fork(after_in_child=_after_fork)
