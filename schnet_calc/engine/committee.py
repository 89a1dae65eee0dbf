"""Several models at once: their mean, and how far they disagree."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from schnet_calc.engine.base import Engine
from schnet_calc.engine.prediction import Prediction
from schnet_calc.graph import Structure


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

    def evaluate(self, structures: Sequence[Structure]) -> list[Prediction]:
        """Means over the members, which are in ``Prediction.members``; the errors of an engine."""
        columns = zip(*(engine.evaluate(structures) for engine in self.members), strict=True)
        return [mean_prediction(members) for members in columns]


def mean_prediction(members: Sequence[Prediction]) -> Prediction:
    """The mean of predictions for one structure."""
    return replace(
        members[0],
        energies=np.mean([m.energies for m in members], axis=0),
        forces=np.mean([m.forces for m in members], axis=0),
        virial=np.mean([m.virial for m in members], axis=0),
        members=tuple(members),
    )
