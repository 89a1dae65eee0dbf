"""The table of a run: a row per validation."""

import csv
from collections.abc import Sequence
from pathlib import Path

from schnet_calc.analysis.errors import Errors
from schnet_calc.folders import replace_text

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
