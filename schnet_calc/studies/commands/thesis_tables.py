"""``schnet-calc reproduce`` for tables of the thesis whose models come along."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from schnet_calc.cli.console import Stages, out, progress_bar, write_json
from schnet_calc.cli.options import Flat, JsonPath, OutputPath
from schnet_calc.studies.commands.tables import print_columns


@dataclass(frozen=True)
class TableOptions:
    """Where models and data of a table are."""

    data: Path | None = None
    """The data, where they are not where the configuration says."""
    evaluate_only: bool = True
    """Test the shipped models; otherwise train, or go on with, models of the same configuration."""
    json: JsonPath = None


Options = Annotated[TableOptions, Flat]
TrainedPath = Annotated[OutputPath, Parameter(help="Folder of the trainings.")]


def qm9(*, options: Options = TableOptions(), output: TrainedPath = Path("runs/qm9")) -> None:
    """Table 4.2: molecules of QM9, U0."""
    _repeat("qm9", options, output)


def materials(*, options: Options = TableOptions(), output: TrainedPath = Path("runs/materials")) -> None:
    """Table 4.3: formation energies of crystals."""
    _repeat("materials", options, output)


def c20(*, options: Options = TableOptions(), output: TrainedPath = Path("runs/c20")) -> None:
    """Table 5.6: energies and forces of C20."""
    _repeat("c20", options, output)


def _repeat(name: str, options: TableOptions, output: Path) -> None:
    """Test or train the models of a table, and print them beside the thesis."""
    from schnet_calc.studies.tables import evaluated_rows

    with progress_bar() as bar:
        stages = Stages(bar)
        folder = None if options.evaluate_only else output
        rows = evaluated_rows(name, options.data, folder, stages)
    if not rows:
        raise ValueError(f"there is no shipped model for {name}: train one with --no-evaluate-only")
    cells = [[*cells, str(row.evaluation.n_frames)] for row in rows for cells in row.cells()]
    headings = ("row", "error (MAE)", "ours", "thesis", "our steps", "test frames")
    print_columns(f"Table {rows[0].row.table} of the thesis", headings, cells)
    for row in rows:
        if row.row.tried:
            out.print(f"{row.row.what}: {row.row.tried}")
    out.print("! is above the thesis" + (f"; {rows[0].row.note}" if rows[0].row.note else ""))
    write_json(options.json, {"rows": [row.to_dict() for row in rows]})
