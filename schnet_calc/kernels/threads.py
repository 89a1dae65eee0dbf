"""Threads for compiled loops, which run beside each other because they let go of Python's lock."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


@cache
def thread_pool(n_threads: int) -> ThreadPoolExecutor:
    """The pool of so many threads, made once."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="schnet")


# Threads do not survive a fork: a child makes its own.
os.register_at_fork(after_in_child=thread_pool.cache_clear)
