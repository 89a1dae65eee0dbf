"""Tables of several columns, and of what was repeated beside the paper."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from schnet_calc.cli.console import out


def print_columns(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], caption: str | None = None
) -> None:
    """Print rows below headings, the first column at the left, numbers at the right.

    Parameters
    ----------
    title : str
        Above the table.
    headings : sequence of str
        Of the columns.
    rows : iterable of sequence of str
        Their cells.
    caption : str, optional
        Below the table.
    """
    style: Any = {"title_style": "bold", "title_justify": "left", "caption_justify": "left"}
    table = Table(title=title, caption=caption, box=SIMPLE_HEAD, pad_edge=False, **style)
    table.add_column(headings[0], no_wrap=True)
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for cells in rows:
        table.add_row(*cells)
    out.print(table)


def print_rows(rows: list[Any], checks: dict[str, Any]) -> None:
    """Print errors beside the paper's, one line per molecule and seed."""
    from schnet_calc.studies.kept import MeanErrors

    title = "MD17, mean absolute errors on unseen frames, kcal/mol and kcal/mol/Å"
    table = []
    for row in rows:
        mean = MeanErrors.of(row.evaluation.mean_predictor)
        cells = [row.name]
        for value, reached, *others in zip(row.found, row.reached, row.paper, mean, strict=True):
            cells += [f"{value:.3f}{'' if reached else ' !'}", *(f"{x:.2f}" for x in others)]
        table.append([*cells, str(row.evaluation.n_frames)])
    print_columns(title, ["", "energy", "paper", "mean", "force", "paper", "mean", "frames"], table)
    reached = sum(sum(row.reached) for row in rows)
    out.print(f"{reached} of {2 * len(rows)} cells at or below the paper; ! is above it")
    if checks:
        _print_physics(checks)
    _print_spread(rows)


def _print_spread(rows: list[Any]) -> None:
    for molecule in dict.fromkeys(row.molecule for row in rows):
        mine = [row for row in rows if row.molecule == molecule]
        if len(mine) > 1:
            energies, forces = zip(*(r.found for r in mine), strict=True)
            out.print(
                f"{molecule}, {len(mine)} seeds: energy {min(energies):.3f} to {max(energies):.3f} "
                f"kcal/mol, force {min(forces):.3f} to {max(forces):.3f} kcal/mol/Å"
            )


def _print_physics(checks: dict[str, Any]) -> None:
    time = next(iter(checks.values())).time
    rows = []
    for name, check in checks.items():
        cells = [name, "yes" if check.converged else "no", str(check.n_imaginary)]
        cells += [f"{check.lowest_frequency:.0f}", f"{check.longest_stretch:.2f} times"]
        rows.append([*cells, "stable" if check.passed else "fails"])
    headings = ("", "relaxed", "imaginary", "lowest, cm⁻¹", "longest bond", "verdict")
    print_columns(f"Relaxation, frequencies, {time:g} ps at 300 K", headings, rows)
    passed = sum(check.passed for check in checks.values())
    out.print(f"{passed} of {len(checks)} molecules pass")
