"""Several models at once: their mean, and how far they disagree."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.base import Engine
from schnet_calc.engine.checks import named
from schnet_calc.engine.compiled import CompiledEngine
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.engine.prediction import Prediction
from schnet_calc.kernels.cpu.threads import map_on_threads
from schnet_calc.structures.structure import Structure


class Committee:
    """Evaluates a batch with every member and averages.

    Parameters
    ----------
    members : sequence of Engine
        One engine per model.

    Raises
    ------
    ValueError
        There are no members.
    """

    name = "committee"

    def __init__(self, members: Sequence[Engine]) -> None:
        if not members:
            raise ValueError("a committee needs at least one model")
        self.members = tuple(members)
        self.device = members[0].device
        self.dtype = members[0].dtype

    @property
    def memory(self) -> float:
        """Bytes that a batch of one member may need; see :class:`Engine`."""
        return self.members[0].memory

    @memory.setter
    def memory(self, value: float) -> None:
        """Set it for every member."""
        for member in self.members:
            member.memory = value

    @property
    def heads(self) -> dict[str, str]:
        """Further outputs that all members have."""
        shared = dict(self.members[0].heads)
        for member in self.members[1:]:
            shared = {name: how for name, how in shared.items() if member.heads.get(name) == how}
        return shared

    def evaluate(
        self, structures: Sequence[Structure], heads: Sequence[str] | None = None
    ) -> list[Prediction]:
        """Return means over the members, which are in ``Prediction.members``; the errors of an engine."""
        wanted = list(self.heads) if heads is None else [h for h in heads if h in self.heads]
        rows = self._rows(structures, wanted)
        return [mean_prediction(members) for members in zip(*rows, strict=True)]

    def _rows(self, structures: Sequence[Structure], heads: Sequence[str]) -> list[list[Prediction]]:
        """All members' predictions: beside each other for one small structure, which takes one thread.

        On a GPU all members are set off before the first is waited for.
        """
        engines = [m for m in self.members if isinstance(m, CudaEngine)]
        if len(engines) == len(set(map(id, self.members))) == len(self.members):
            rows = _all_at_once(engines, structures, heads)
            if rows is not None:
                return rows
        n_threads = min(torch.get_num_threads(), len(self.members))
        if n_threads > 1 and len(structures) == 1 and self._small(len(structures[0].numbers)):
            return map_on_threads(
                lambda member: member.evaluate(structures, heads), self.members, n_threads
            )
        return [member.evaluate(structures, heads) for member in self.members]

    def _small(self, n_atoms: int) -> bool:
        return all(isinstance(m, CompiledEngine) and m.threads_for(n_atoms) == 1 for m in self.members)

    def hessian(self, structure: Structure) -> NDArray[np.float64]:
        """Return the (3N, 3N) mean of the members' second derivatives, eV/Å²."""
        return np.asarray(np.mean([engine.hessian(structure) for engine in self.members], axis=0))


def _all_at_once(
    engines: Sequence[CudaEngine], structures: Sequence[Structure], heads: Sequence[str]
) -> list[list[Prediction]] | None:
    """Predictions of several engines; None where a batch is too large for one call, or memory for all of them."""
    count, places = len(structures), list(enumerate(structures))
    batches = [list(engine._items(places, count)) for engine in engines]
    if not count or any(
        sum(len(item.pairs.i) for item in batch) > engine.most_pairs
        for engine, batch in zip(engines, batches, strict=True)
    ):
        return None
    with ExitStack() as held, named(0, count):
        for engine in engines:
            held.enter_context(engine.alone)
        with suppress(torch.OutOfMemoryError):
            begun = [engine.begin(batch) for engine, batch in zip(engines, batches, strict=True)]
            return [engine.end(call, heads) for engine, call in zip(engines, begun, strict=True)]
    return None


def mean_prediction(members: Sequence[Prediction]) -> Prediction:
    """Return the mean of predictions for one structure, and the largest grade of any of them: all count in it."""
    grades = [m.grades for m in members if m.grades is not None]
    return replace(
        members[0],
        energies=np.mean([m.energies for m in members], axis=0),
        forces=np.mean([m.forces for m in members], axis=0),
        virial=np.mean([m.virial for m in members], axis=0),
        outputs=_means([m.outputs for m in members]),
        atomic=_means([m.atomic for m in members]),
        members=tuple(members),
        error_bar=None,
        grades=None if not grades else np.max(grades, axis=0),
    )


def _means(values: Sequence[dict[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.asarray(np.mean([v[name] for v in values], axis=0)) for name in values[0]}
