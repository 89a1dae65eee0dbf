"""``schnet-calc reproduce c20-selection``: all rows of Table 5.6 in small."""

from pathlib import Path
from typing import Annotated

from schnet_calc.cli.console import Stages, progress_bar, write_json
from schnet_calc.cli.options import JsonPath, OutputPath, Several
from schnet_calc.studies.commands.columns import print_columns


def c20_selection(
    *,
    rows: Annotated[list[int] | None, Several] = None,
    steps: int = 20_000,
    data: Path | None = None,
    output: OutputPath = Path("runs/c20_selection"),
    json: JsonPath = None,
) -> None:
    """Table 5.6 in small: depth, width and the weight of energies on C20.

    Parameters
    ----------
    rows
        Only these networks of the table, from 1 to 7; a network that it has twice counts once.
    steps
        Of each training.
    data
        The frames of C20, where they are not where the configuration says.
    output
        Folder with a training each; what is there is continued.
    """
    from schnet_calc.studies.c20_selection import PAPER, run_selection

    networks = list(PAPER)
    for number in rows or ():
        if not 1 <= number <= len(networks):
            raise ValueError(f"the table has networks 1 to {len(networks)}, got {number}")
    chosen = [networks[k - 1] for k in rows] if rows else networks
    with progress_bar() as bar:
        found = run_selection(output, chosen, steps, data, Stages(bar))
    title = f"Table 5.6 of the thesis, {steps} steps each, mean absolute errors"
    headings = ("T", "F", "rho", "energy, kcal/mol", "thesis", "force, kcal/mol/Å", "thesis")
    print_columns(title, headings, [row.cells() for row in found])
    write_json(json, {"rows": [row.to_dict() for row in found]})
