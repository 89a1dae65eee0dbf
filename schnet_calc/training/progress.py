"""How far a run has come, and its table: a row per validation."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schnet_calc.analysis.errors import Errors
from schnet_calc.folders import replace_text


@dataclass
class Progress:
    """Counters of a run, which its checkpoints keep."""

    step: int = 0
    """Updates of the weights."""
    stale: int = 0
    """Validations since the best one."""
    best: float = math.inf
    """Lowest loss over the validation frames."""
    seconds: float = 0.0
    """Of training, earlier parts of the run included."""
    constant: float = 0.0
    """eV per atom, added where forces alone are trained on."""
    errors: Errors = field(default_factory=lambda: Errors({}))
    """Of the last validation."""
    loss_sum: float = 0.0
    """Of the steps since then."""
    loss_steps: int = 0
    """How many these are."""

    @property
    def loss(self) -> float:
        """Mean since the last validation."""
        return self.loss_sum / max(self.loss_steps, 1)

    def add(self, loss: float) -> None:
        """Count a step with its loss."""
        self.step += 1
        self.loss_sum, self.loss_steps = self.loss_sum + loss, self.loss_steps + 1

    def improved(self, score: float) -> bool:
        """Count a validation; return whether none was as good."""
        self.stale += 1
        if score < self.best:
            self.best, self.stale = score, 0
        return self.stale == 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return {
            "step": self.step,
            "best": self.best,
            "stale": self.stale,
            "seconds": self.seconds,
            "loss": [self.loss_sum, self.loss_steps],
            "validation": self.errors.to_dict(),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "Progress":
        """Return what :meth:`to_dict` described; errors and constant come with the next validation."""
        loss_sum, loss_steps = state.get("loss", (0.0, 0))
        names = ("step", "best", "stale", "seconds")
        return cls(**{n: state[n] for n in names}, loss_sum=loss_sum, loss_steps=loss_steps)


FIRST, LAST = ("step", "learning_rate", "loss"), ("seconds",)


def error_columns(names: Sequence[str]) -> list[str]:
    """Return the columns of mean absolute errors for labels of these names."""
    known = {"energy": "energy_mae_kcal_mol", "forces": "force_mae_kcal_mol_ang"}
    return [known.get(name, f"{name}_mae") for name in names]


def append_row(path: Path, step: int, rate: float, loss: float, errors: Errors, seconds: float) -> None:
    """Add a row; a new file gets a header first.

    Parameters
    ----------
    path : Path
        The file.
    step : int
        Updates of the weights.
    rate, loss : float
        Learning rate, and mean loss since the row before.
    errors : Errors
        Of the validation.
    seconds : float
        Of training.
    """
    columns, values = error_columns(list(errors)), errors.to_dict()
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow((*FIRST, *columns, *LAST))
        found = [f"{values[c]:.5f}" for c in columns]
        writer.writerow((step, f"{rate:.6g}", f"{loss:.6g}", *found, f"{seconds:.1f}"))


def forget_after(path: Path, step: int) -> None:
    """Drop rows written after a checkpoint: those steps are done again."""
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    whole = [x for x in lines[1:] if x.endswith("\n")]
    replace_text(path, "".join(lines[:1] + [x for x in whole if int(x.split(",")[0]) <= step]))
