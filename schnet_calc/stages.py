"""Progress of what takes long: functions tell their stages, and whoever waits listens.

What lies between the two needs no argument for it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[str, int, int | None, str], None]
"""Called with a stage, how much of it is done, how much there is (None where nobody knows), and a note."""
T = TypeVar("T")
TOLD = 200
"""Times that a long sequence is told of."""
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def told_to(listener: Listener | None) -> Iterator[None]:
    """Have a listener told, in this thread and for a while, what :func:`tell` is called with; None for nobody."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


def listened() -> bool:
    """Return whether anybody listens: what to say may take time to find."""
    return _LISTENER.get() is not None


def tell(stage: str, done: int, total: int | None, note: str = "") -> None:
    """Say how far a stage is, to whoever listens.

    Parameters
    ----------
    stage : str
        What is done.
    done, total : int
        Of its steps; no total where the number isn't known. A stage ends when both are the same.
    note : str
        What else there is to say.
    """
    if (listener := _LISTENER.get()) is not None:
        listener(stage, done, total, note)


class WithEquilibration:
    """What a run of dynamics calls with its steps: those of its equilibration are negative, and another stage.

    Parameters
    ----------
    listener : callable
        Told both stages.
    names : (str, str)
        Of the equilibration and of the run.
    n_steps : int
        Of the run.
    note : callable, optional
        What there is to say at a step of it.
    """

    def __init__(
        self,
        listener: Callable[[str, int, int, str], None],
        names: tuple[str, str],
        n_steps: int,
        note: Callable[[int], str] = lambda step: "",
    ) -> None:
        self.listener, self.names, self.n_steps, self.note = listener, names, n_steps, note
        self.warming = 0

    def __call__(self, step: int, _: object) -> None:
        """Tell a step."""
        if step < 0:
            self.warming = self.warming or -step
            self.listener(self.names[0], self.warming + step, self.warming, "")
            return
        if self.warming:
            self.listener(self.names[0], self.warming, self.warming, "")
            self.warming = 0
        self.listener(self.names[1], step, self.n_steps, self.note(step))


def in_turn(stage: str, items: Sequence[T]) -> Iterator[T]:
    """Yield items, and tell how many are done; of many, not after each."""
    every = max(1, len(items) // TOLD)
    for done, item in enumerate(items):
        if done % every == 0:
            tell(stage, done, len(items))
        yield item
    tell(stage, len(items), len(items))
