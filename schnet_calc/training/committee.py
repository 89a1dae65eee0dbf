"""A committee from one configuration: the same network, other first weights, maybe other frames."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.data import Frames
from schnet_calc.training import Run, RunConfig
from schnet_calc.training.evaluation import Evaluation, compare
from schnet_calc.training.workflow import finish

Report = Callable[[int, Run, Any], None]


@dataclass(frozen=True)
class Assessment:
    """What a committee is worth on frames that no member has seen."""

    mean: Evaluation
    """Errors of the committee's mean."""
    members: list[float]
    """Force MAE of each member, eV/Å."""
    spread: float
    """Root mean square of the standard deviation of force components, eV/Å."""
    correlation: float
    """Spearman's, between standard deviation and error of the force on an atom; 1: one tells the other."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **self.mean.to_dict(),
            "members_force_mae_ev_ang": self.members,
            "forces_std_rms_ev_ang": self.spread,
            "rank_correlation": self.correlation,
        }


def train_members(
    config: RunConfig,
    directory: str | Path,
    n_members: int,
    bootstrap: bool = False,
    resume: bool = False,
    report: Report | None = None,
    command: str | None = None,
) -> list[Path]:
    """Train the members of a committee one after another.

    Parameters
    ----------
    config : RunConfig
        Of all members; each adds its number to the seed. They share the split, so that none has seen the
        test frames of another.
    directory : path
        Gets a folder ``member_K`` for each.
    n_members : int
        At least two.
    bootstrap : bool
        Each member draws its training frames from them with replacement.
    resume : bool
        Go on where a call was interrupted.
    report : callable, optional
        Called with the member's number, its run and errors, as :meth:`~schnet_calc.training.Run.run` does.
    command : str, optional
        For the metadata.

    Returns
    -------
    list of Path
        The model files; of several processes (torchrun) the first has them, the others none.

    Raises
    ------
    ValueError
        Fewer than two members.
    FileExistsError
        A folder holds a run and ``resume`` is false.
    """
    if n_members < 2:
        raise ValueError(f"a committee has at least two members, got {n_members}")
    paths = []
    for k in range(n_members):
        folder = Path(directory) / f"member_{k}"
        training = replace(config.training, seed=config.training.seed + k)
        data = replace(config.data, bootstrap=bootstrap or config.data.bootstrap)
        run = Run(replace(config, training=training, data=data), folder, resume=resume)
        run.run(None if report is None else partial(report, k))
        if run.world.first:
            finish(run, command)
            paths.append(folder / "model.pt")
    return paths


def assess(paths: list[Path], frames: Frames, device: str = "auto") -> Assessment:
    """Hold a committee against labelled frames that none of its members was trained on.

    Parameters
    ----------
    paths : list of Path
        The model files.
    frames : Frames
        With energies and forces.
    device : str
        Where they are evaluated.
    """
    calculator = SchNetCalculator(list(paths), device=device, on_doubt="ignore")
    predictions = calculator.evaluate([frames.atoms(k) for k in range(len(frames))])
    mean = compare(frames, predictions)
    spread = np.concatenate([p.forces_std for p in predictions])
    errors = np.linalg.norm(mean.force_differences.reshape(-1, 3), axis=1)
    members = [
        float(np.abs(np.concatenate([p.members[m].forces for p in predictions]) - frames.forces).mean())
        for m in range(len(paths))
    ]
    doubts = np.linalg.norm(spread, axis=1)
    rank = spearmanr(doubts, errors).statistic
    return Assessment(mean, members, float(np.sqrt((spread**2).mean())), float(rank))
