"""``schnet-calc reproduce`` for tables of the thesis whose models come along."""

from pathlib import Path

from rich.table import Table

from schnet_calc.cli.console import Stages, out, progress_bar, write_json
from schnet_calc.cli.options import OutputPath
from schnet_calc.cli.reproduce import reproduce


def _repeat(name: str, data: Path | None, folder: Path | None, json: Path | None) -> None:
    """Test or train the models of a table, and print them beside the thesis."""
    from schnet_calc.studies.tables import evaluated_rows

    with progress_bar() as bar:
        stages = Stages(bar)
        rows = evaluated_rows(name, data, folder, lambda row, done, total: stages(row, done, total))
    if not rows:
        raise ValueError(f"there is no shipped model for {name}: train one with --no-evaluate-only")
    title = f"Table {rows[0].row.table} of the thesis"
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in ("row", "error (MAE)", "ours", "thesis", "test frames"):
        table.add_column(heading)
    for row in rows:
        for key, value in row.found.items():
            thesis = row.row.published[key]
            shown = f"{value:.3f}{'' if value <= thesis else ' !'}"
            table.add_row(row.row.what, key, shown, f"{thesis:.3f}", str(row.evaluation.n_frames))
    out.print(table)
    out.print("! is above the thesis" + (f"; {rows[0].row.note}" if rows[0].row.note else ""))
    write_json(json, {"rows": [row.to_dict() for row in rows]})


def _register(name: str, number: str, what: str) -> None:
    """Register ``schnet-calc reproduce NAME`` for a table."""

    def command(
        *,
        data: Path | None = None,
        evaluate_only: bool = True,
        output: OutputPath = Path(f"runs/{name}"),
        json: Path | None = None,
    ) -> None:
        _repeat(name, data, None if evaluate_only else output, json)

    command.__doc__ = f"""Table {number}: {what}.

    Parameters
    ----------
    data
        The data, where they are not where the configuration says.
    evaluate_only
        Test the shipped models; otherwise train, or go on with, models of the same configuration.
    output
        Folder of the trainings.
    json
        Where to write the numbers.
    """
    reproduce.command(command, name=name)


_register("qm9", "4.2", "molecules of QM9, U0")
_register("materials", "4.3", "formation energies of crystals")
_register("c20", "5.6", "energies and forces of C20")
