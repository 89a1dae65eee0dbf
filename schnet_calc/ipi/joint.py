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
        kept = [
            Request(r.cells[:n], r.positions[:n])
            for (_, r), (_, _, n) in zip(parts, self.parts, strict=True)
        ]
        self.request = kept[0]
        if len(kept) > 1:
            self.request = Request(
                np.concatenate([r.cells for r in kept]), np.concatenate([r.positions for r in kept])
            )

    def deliver(self, reply: Reply) -> None:
        """Hand every connection its own results; lost connections have none to take them."""
        start = 0
        for connection, length, distinct in self.parts:
            rows = [start + min(k, distinct - 1) for k in range(length)]
            start += distinct
            if not connection.alive:
                continue
            if rows == list(range(len(reply.energies))):
                connection.deliver(reply)
                continue
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
        and (request.positions[n - 1] == request.positions[n - 2]).all()
        and (request.cells[n - 1] == request.cells[n - 2]).all()
    ):
        n -= 1
    return n
