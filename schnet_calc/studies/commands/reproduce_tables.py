"""Tables of what was repeated beside the paper's."""

from typing import Any

from rich.table import Table

from schnet_calc.cli.console import out


def print_rows(rows: list[Any], checks: dict[str, Any]) -> None:
    """Print errors beside the paper's, one line per molecule and seed."""
    title = "MD17, mean absolute errors on unseen frames, kcal/mol and kcal/mol/Å"
    table = Table(title=title, title_justify="left", title_style="bold")
    dense = any(row.dense for row in rows)
    headings = ["energy", "paper", *(["dense"] if dense else []), "mean"]
    headings += ["force", "paper", *(["dense"] if dense else []), "mean", "frames"]
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        mean, other = row.evaluation.mean_predictor.to_dict(), row.dense.to_dict() if row.dense else {}
        cells = [row.name]
        for kind, value, paper, reached in zip(
            ("energy_mae_kcal_mol", "force_mae_kcal_mol_ang"),
            (row.energy, row.force),
            row.paper,
            row.reached,
            strict=True,
        ):
            cells += [f"{value:.3f}{'' if reached else ' !'}", f"{paper:.2f}"]
            cells += [f"{other[kind]:.2f}"] if dense else []
            cells.append(f"{mean[kind]:.2f}")
        cells.append(str(row.evaluation.n_frames))
        table.add_row(*cells)
    out.print(table)
    reached = sum(sum(row.reached) for row in rows)
    out.print(f"{reached} of {2 * len(rows)} cells at or below the paper; ! is above it")
    if checks:
        _print_physics(checks)
    _print_spread(rows)


def _print_spread(rows: list[Any]) -> None:
    for molecule in dict.fromkeys(row.molecule for row in rows):
        mine = [row for row in rows if row.molecule == molecule]
        if len(mine) > 1:
            energies, forces = [r.energy for r in mine], [r.force for r in mine]
            out.print(
                f"{molecule}, {len(mine)} seeds: energy {min(energies):.3f} to {max(energies):.3f} "
                f"kcal/mol, force {min(forces):.3f} to {max(forces):.3f} kcal/mol/Å"
            )


def _print_physics(checks: dict[str, Any]) -> None:
    time = next(iter(checks.values())).time
    title = f"Relaxation, frequencies, {time:g} ps at 300 K"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for heading in ("relaxed", "imaginary", "lowest, cm⁻¹", "longest bond", "verdict"):
        table.add_column(heading, justify="right")
    for name, check in checks.items():
        cells = [
            "yes" if check.converged else "no",
            str(check.n_imaginary),
            f"{check.lowest_frequency:.0f}",
        ]
        cells += [f"{check.longest_stretch:.2f} times", "stable" if check.passed else "fails"]
        table.add_row(name, *cells)
    out.print(table)
    passed = sum(check.passed for check in checks.values())
    out.print(f"{passed} of {len(checks)} molecules pass")
