"""How errors are spread over the molecules of QM9: Figures 3.5 to 3.7."""

import numpy as np
from scipy.stats import gaussian_kde

from schnet_calc import plots
from schnet_calc.analysis.errors import KCAL_MOL
from schnet_calc.data import Frames
from schnet_calc.studies.isomers import are_isomers
from schnet_calc.studies.reproduction.pieces import Pieces
from schnet_calc.training import Evaluation

LARGEST = 10


def add_qm9_errors(pieces: Pieces, tested: Evaluation, frames: Frames) -> None:
    """Add figures of the errors of U0 to the pieces.

    Parameters
    ----------
    pieces : Pieces
        To add to.
    tested : Evaluation
        Of the model on these frames.
    frames : Frames
        Unseen molecules.
    """
    off = tested.differences["energy"] / KCAL_MOL
    _largest(pieces, off, frames)
    _by_size(pieces, np.abs(off), frames.n_atoms)
    _isomers(pieces, off, frames)


def _largest(pieces: Pieces, off: np.ndarray, frames: Frames) -> None:
    order = np.argsort(-np.abs(off))[:LARGEST]
    figure, axes = plots.new_figure(13, 4.6, LARGEST // 2, nrows=2)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, k in zip(axes.flat, order, strict=False):
        plots.draw_skeleton(ax, frames.atoms(int(k)))
        ax.set_title(f"{off[k]:+.1f} kcal/mol", fontsize=9, loc="center")
    pieces.figure("Figure 3.5", figure, "largest_errors", "Prediction less label, unseen molecules.")


def _by_size(pieces: Pieces, off: np.ndarray, sizes: np.ndarray) -> None:
    kinds = [n for n in np.unique(sizes) if (sizes == n).sum() >= 5]
    figure, axes = plots.new_figure(5.5, 3.4)
    axes.plot(kinds, [off[sizes == n].mean() for n in kinds], "o-")
    axes.set(xlabel="atoms in the molecule", ylabel="MAE, kcal/mol", ylim=(0, None))
    pieces.figure("Figure 3.6", figure, "errors_by_size", "Sizes with five unseen molecules or more.")


def _isomers(pieces: Pieces, off: np.ndarray, frames: Frames) -> None:
    mine = are_isomers(frames)
    if mine.sum() < 5:
        return
    labels = frames.labels["energy"][mine] / KCAL_MOL
    labels = labels - labels.mean()
    predicted = labels + off[mine]
    line = np.linspace(labels.min() - 20, labels.max() + 20, 300)
    figure, axes = plots.new_figure(9, 3.4, 2)
    for name, values in (("labels", labels), ("predictions", predicted)):
        axes[0].plot(line, gaussian_kde(values)(line), "-" if name == "labels" else "--", label=name)
    axes[0].set(xlabel="energy less its mean, kcal/mol", ylabel="density")
    axes[0].legend()
    axes[1].plot(labels, predicted, ".", ms=3)
    axes[1].set(xlabel="label, kcal/mol", ylabel="prediction, kcal/mol")
    error = np.abs(off[mine]).mean()
    caption = f"{mine.sum()} unseen isomers of C7H10O2, MAE {error:.2f} kcal/mol."
    pieces.figure("Figure 3.7", figure, "isomer_energies", caption)
