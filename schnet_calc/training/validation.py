"""What a network says of held-out frames during training, held against their labels.

It takes the loss's predictor and terms, since the network under training is no model file yet;
:func:`schnet_calc.training.evaluation.compare` takes what a model file says of structures.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.analysis.errors import Errors
from schnet_calc.nn import Network
from schnet_calc.training.batches import Batches
from schnet_calc.training.loss import Term, batch_labels
from schnet_calc.training.predict import Predict

FloatArray = NDArray[np.float64]
BATCH_SIZE = 32


class Comparison(NamedTuple):
    """Predictions of M frames beside their labels."""

    differences: dict[str, FloatArray]
    """Predictions minus labels by name, all components of the frames that have the label; virials per atom"""
    squares: dict[str, FloatArray]
    """(M',) squared errors as they stand in the loss, by name of the term"""
    n_atoms: FloatArray
    """(M',) atoms of the frames with an energy"""

    def errors(self, constant: float = 0.0) -> Errors:
        """Return errors; a constant energy per atom, eV, is added to the predictions."""
        off = dict(self.differences)
        if "energy" in off:
            off["energy"] = off["energy"] + constant * self.n_atoms
        return Errors.from_differences(off)

    def score(self, terms: list[Term], constant: float = 0.0) -> float:
        """Return the loss over all these frames."""
        total = 0.0
        for term in terms:
            squares = self.squares[term.name]
            if term.name == "energy":
                squares = (self.differences["energy"] + constant * self.n_atoms) ** 2
            total += term.weight * float(squares.mean()) if len(squares) else 0.0
        return total


@torch.no_grad()
def validate(
    network: Network,
    batches: Batches,
    predict: Predict,
    terms: list[Term],
    n_frames: int,
    device: torch.device,
) -> Comparison:
    """Compare the predictions of the first frames with their labels.

    Parameters
    ----------
    network : Network
        On the device.
    batches : Batches
        Labelled frames.
    predict : callable
        Predictions of a batch by name.
    terms : list of Term
        Of the loss.
    n_frames : int
        At most so many.
    device : torch.device
        Where to.
    """
    n_frames = min(n_frames, len(batches))
    off: dict[str, list[FloatArray]] = defaultdict(list)
    squares: dict[str, list[FloatArray]] = defaultdict(list)
    counts: list[FloatArray] = []
    for start in range(0, n_frames, BATCH_SIZE):
        batch = batches.batch(np.arange(start, min(start + BATCH_SIZE, n_frames))).to(device)
        found = predict(network, batch)
        for name, label in batch.labels.items():
            difference = found[name].detach() - label
            if name == "virial":
                difference = difference / batch.counts[:, None, None]
            values = difference.cpu().numpy().astype(float).ravel()
            off[name].append(values[np.isfinite(values)])
        if "energy" in batch.labels:
            known = torch.isfinite(batch.labels["energy"])
            counts.append(batch.counts[known].cpu().numpy().astype(float))
        for term in terms:
            known = torch.isfinite(batch_labels(term.name, batch))
            these = term.squares(found[term.name].detach(), batch.labels[term.name], batch)[known]
            squares[term.name].append(these.cpu().numpy().astype(float))
    return Comparison(
        {name: np.concatenate(x) for name, x in off.items()},
        {name: np.concatenate(x) for name, x in squares.items()},
        np.concatenate([*counts, np.zeros(0)]),
    )
