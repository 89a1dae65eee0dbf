"""Where threads in compiled code wait for each other, and share out work."""

import platform
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from schnet_calc.kernels.cpu.compiling import inner
from schnet_calc.kernels.cpu.simd import data_of, intrinsic

PATIENCE = 4000
"""Looks at the counter before the processor is offered to other threads, which may be those waited for."""
PAUSE = {"x86_64": "llvm.x86.sse2.pause", "AMD64": "llvm.x86.sse2.pause"}.get(platform.machine())


class Member(NamedTuple):
    """One of the threads that share a compiled call."""

    part: int
    """Which of the parts is its own, from 0 on."""
    n_parts: int
    arrivals: np.ndarray[Any, np.dtype[np.int64]]
    """(1,) the state of the barrier where all meet"""


def barrier() -> np.ndarray[Any, np.dtype[np.int64]]:
    """The state of a barrier: how many have arrived so far."""
    return np.zeros(1, np.int64)


def abandon(state: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    """Let everyone go who waits, and all who will."""
    state[0] = 2**62


ALONE = Member(0, 1, barrier())
"""The only thread of a call, who never waits."""


@intrinsic
def take(typingctx, state):  # type: ignore[no-untyped-def]
    """Count one more, in one step whoever else does; how many there were."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        counter = data_of(context, builder, signature.args[0], arguments[0])
        return builder.atomic_rmw("add", counter, ir.IntType(64)(1), "seq_cst")

    return types.int64(state), codegen


@intrinsic
def _look(typingctx, state):  # type: ignore[no-untyped-def]
    """How many there are."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        counter = data_of(context, builder, signature.args[0], arguments[0])
        return builder.load_atomic(counter, "seq_cst", 8)

    return types.int64(state), codegen


@intrinsic
def _pause(typingctx):  # type: ignore[no-untyped-def]
    """Tell the processor that this is a waiting loop."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        if PAUSE:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, PAUSE), [])
        return context.get_dummy_value()

    return types.void(), codegen


_offer_processor = types.ExternalFunction("sched_yield", types.int32())


@inner
def wait(me, round_number):  # type: ignore[no-untyped-def]
    """Return when all parts have called this for the round, from 0 on; false if they were let go."""
    everyone = (round_number + 1) * me.n_parts
    if me.n_parts == 1:
        return True
    arrived = take(me.arrivals) + 1
    tries = 0
    while arrived < everyone:
        _pause()
        tries += 1
        if tries > PATIENCE:
            _offer_processor()
        arrived = _look(me.arrivals)
    return arrived < 2**61
