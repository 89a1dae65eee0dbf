"""Requests of several connections as one."""

import numpy as np

from schnet_calc.ipi.connection import Connection
from schnet_calc.ipi.wire import Reply, Request


class JointRequest:
    """One request for the worker, without the repetitions that i-PI pads its batches with.

    Parameters
    ----------
    parts : list of (Connection, Request)
        Who asks for what.
    """

    def __init__(self, parts: list[tuple[Connection, Request]]) -> None:
        self.parts = [(c, len(r.cells), _distinct(r)) for c, r in parts]
        kept = [(r.cells[:n], r.positions[:n]) for (_, r), (_, _, n) in zip(parts, self.parts, strict=True)]
        self.request = Request(np.concatenate([c for c, _ in kept]), np.concatenate([p for _, p in kept]))

    def deliver(self, reply: Reply) -> None:
        """Hand every connection its own results; lost connections have none to take them."""
        start = 0
        for connection, length, distinct in self.parts:
            rows = [start + min(k, distinct - 1) for k in range(length)]
            start += distinct
            if connection.alive:
                connection.deliver(
                    Reply(
                        reply.energies[rows],
                        reply.forces[rows],
                        reply.virials[rows],
                        [reply.extras[k] for k in rows],
                    )
                )


def _distinct(request: Request) -> int:
    """Structures before the last one starts to repeat."""
    n = len(request.cells)
    while (
        n > 1
        and np.array_equal(request.positions[n - 1], request.positions[n - 2])
        and np.array_equal(request.cells[n - 1], request.cells[n - 2])
    ):
        n -= 1
    return n
