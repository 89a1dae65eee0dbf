"""The reference with a memory: what is computed once is kept, whoever asks for it."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import ase
import numpy as np

from schnet_calc.learn.executors import Labeller
from schnet_calc.learn.store import DONE, FAILED, LabelStore
from schnet_calc.references.base import ReferenceCalculator

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int, str], None]
"""Called with a stage, how much of it is done, how much there is, and a note."""
HOPELESS = 10
"""Failures in a row, without a label between them, that are no accident."""


class Reference:
    """Labels structures through a store.

    Parameters
    ----------
    store : LabelStore
        Where labels are kept.
    labeller : Labeller
        What computes them.
    progress : callable
        See :data:`Progress`.
    """

    def __init__(self, store: LabelStore, labeller: Labeller, progress: Progress) -> None:
        self.store, self.labeller, self.progress = store, labeller, progress
        self.round = 0
        """That new structures belong to."""

    def label(self, structures: Sequence[ase.Atoms], kind: str) -> list[str]:
        """Label structures; their keys. Whether each has a label is for the store to say."""
        keys = self.store.plan(structures, kind, self.round)
        self.work(f"labels, {kind}")
        return keys

    def work(self, stage: str = "labels left") -> None:
        """Label all that is planned, also what an interrupted run has left.

        Parameters
        ----------
        stage : str
            What to call it.

        Raises
        ------
        RuntimeError
            There are failures and nothing else, or the calculator can't be made.
        """
        waiting = self.store.pending()
        failed = 0
        for done, answer in enumerate(self.labeller.label(waiting), 1):
            if answer.reason:
                failed += 1
                self.store.fail(answer.key, answer.reason, answer.seconds)
                row = self.store.entries[answer.key].row
                logger.warning("row %d of %s has no label: %s", row, self.store.path, answer.reason)
                if failed == done == min(HOPELESS, max(len(waiting), 2)):
                    raise RuntimeError(f"the reference failed {failed} times in a row: {answer.reason}")
            else:
                self.store.finish(answer.key, answer.results, answer.seconds)
            if len(waiting) > 1:
                self.progress(stage, done, len(waiting), f"{failed} failed" if failed else "")

    def calculator(self, kind: str) -> "RememberedCalculator":
        """Return the reference as a calculator whose every evaluation is kept, as structures of a kind."""
        return RememberedCalculator(self, kind)


class RememberedCalculator(ReferenceCalculator):
    """An ASE calculator that looks a structure up before it has it computed.

    Parameters
    ----------
    reference : Reference
        What it asks.
    kind : str
        Of structures that it adds to the store.
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress", "dipole")

    def __init__(self, reference: Reference, kind: str) -> None:
        super().__init__()
        self.reference, self.kind = reference, kind

    def compute(self) -> dict[str, Any]:
        """Look a structure up or label it.

        Raises
        ------
        RuntimeError
            The reference has no result for it.
        """
        (key,) = self.reference.label([self.atoms], self.kind)
        found = self.reference.store.result(key)
        if found is None:
            status = self.reference.store.entries[key].status
            assert status in (FAILED, DONE)
            reason = self.reference.store.failures()[-1]
            raise RuntimeError(f"the reference has no result for a structure of its own dynamics: {reason}")
        results: dict[str, Any] = {k: np.copy(v) for k, v in found.calc.results.items()}
        return results | {"energy": float(results["energy"])}
