"""Errors on QM9 against the number of training molecules: Figure 4.6 of the thesis, and Table 1 of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schnet_calc.analysis.errors import KCAL_MOL
from schnet_calc.studies.configs import config_folder
from schnet_calc.studies.kept import KeptPoint, Progress
from schnet_calc.training import Evaluation, RunConfig

SIZES = (1000, 10_000, 50_000, 110_000)
"""Molecules to train on."""
NETWORKS = (("SchNet", 3), ("SchNet", 1), ("SchNet", 2), ("SchNet", 6), ("DTNN", 3))
"""Architecture and interactions; the first is done first."""
PUBLISHED = {
    ("SchNet", 2, 100_000): 0.35,
    ("SchNet", 3, 100_000): 0.32,
    ("SchNet", 6, 100_000): 0.32,
    ("SchNet", 6, 110_000): 0.32,
    ("DTNN", 3, 25_000): 1.04,
    ("DTNN", 3, 50_000): 0.94,
    ("DTNN", 3, 100_000): 0.84,
}
"""kcal/mol, as far as Section 4.4.1, Table 3.1 and Table 4.2 say numbers; at up to ten million steps."""
N_TEST = 10_831


@dataclass(frozen=True)
class LearningPoint(KeptPoint):
    """A network trained on so many molecules."""

    architecture: str
    n_interactions: int
    n_train: int
    steps: int
    error: float
    """Mean absolute error of U0 on unseen molecules, kcal/mol."""

    def cells(self) -> list[str]:
        """Return network, size and error beside the thesis's, as words of a table."""
        theirs = PUBLISHED.get((self.architecture, self.n_interactions, self.n_train))
        shown = "" if theirs is None else f"{theirs:.2f}"
        return [
            self.architecture,
            str(self.n_interactions),
            f"{self.n_train:,}",
            f"{self.error:.2f}",
            shown,
        ]

    @classmethod
    def of(cls, config: RunConfig, tested: Evaluation) -> "LearningPoint":
        """Take the error of the energy."""
        return cls(
            config.to_dict()["model"]["architecture"],
            config.model.n_interactions,
            int(config.data.n_train or 0),
            config.training.steps,
            tested.errors["energy"].mae / KCAL_MOL,
        )


def run_learning_curve(
    directory: str | Path,
    sizes: Sequence[int] = SIZES,
    networks: Sequence[tuple[str, int]] = NETWORKS,
    steps: int = 20_000,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> list[LearningPoint]:
    """Train and test every network on every number of molecules; what is there is continued, or only read.

    Parameters
    ----------
    directory : path
        Gets a folder per training, with ``point.json`` when it is done.
    sizes : sequence of int
        Molecules to train on.
    networks : sequence of tuple
        Architecture, ``"SchNet"`` or ``"DTNN"``, and interactions.
    steps : int
        Of each training. The thesis made up to ten million.
    data : path, optional
        QM9, where it is not the installed package.
    progress : callable, optional
        Called with a label, steps done, and their number.
    """
    configs = {
        f"{name}_T{depth}_N{size}": configuration(name, depth, size, steps, data)
        for name, depth in networks
        for size in sizes
    }
    return LearningPoint.all_reached(configs, directory, progress)


def configuration(
    architecture: str, n_interactions: int, n_train: int, steps: int, data: str | Path | None = None
) -> RunConfig:
    """Return the shipped configuration of U0 for another network, size and length.

    A DTNN has 30 features and 60 factors, as in the thesis.

    Parameters
    ----------
    architecture : str
        SchNet or DTNN.
    n_interactions, n_train, steps : int
        Depth, molecules to train on, length.
    data : path, optional
        QM9, where it is not the installed package.
    """
    changes: dict[str, Any] = {
        "n_interactions": n_interactions,
        "n_train": n_train,
        "n_test": N_TEST,
        "steps": steps,
        "validate_every": max(steps // 10, 1),
    }
    if architecture == "DTNN":
        changes |= {"architecture": "DTNN", "n_features": 30, "n_factors": 60}
    if data is not None:
        changes["file"] = str(data)
    return RunConfig.from_toml(config_folder("qm9") / "u0.toml").changed(changes)
