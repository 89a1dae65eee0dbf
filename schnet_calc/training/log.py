"""The table of a run: a row per validation."""

import csv
from pathlib import Path

from schnet_calc.analysis.errors import KCAL_MOL, Errors

CSV_FIELDS = (
    "step",
    "learning_rate",
    "loss",
    "energy_mae_kcal_mol",
    "force_mae_kcal_mol_ang",
    "seconds",
)


def append_row(path: Path, step: int, rate: float, loss: float, errors: Errors, seconds: float) -> None:
    """Add a row; a new file gets a header first."""
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(CSV_FIELDS)
        writer.writerow(
            (
                step,
                f"{rate:.6g}",
                f"{loss:.6g}",
                f"{errors.energy_mae_ev / KCAL_MOL:.5f}",
                f"{errors.force_mae_ev_ang / KCAL_MOL:.5f}",
                f"{seconds:.1f}",
            )
        )


def forget_after(path: Path, step: int) -> None:
    """Drop rows written after a checkpoint: those steps are done again."""
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    whole = [x for x in lines[1:] if x.endswith("\n")]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(lines[:1] + [x for x in whole if int(x.split(",")[0]) <= step]))
    temporary.replace(path)
