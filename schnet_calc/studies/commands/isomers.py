"""``schnet-calc reproduce isomers``: Table 5.5 in small."""

from pathlib import Path

from schnet_calc.cli.console import Stages, out, progress_bar, write_json
from schnet_calc.cli.options import JsonPath, OutputPath
from schnet_calc.studies.commands.columns import print_columns


def isomers(
    *,
    data: Path | None = None,
    evaluate_only: bool = True,
    steps: int | None = None,
    output: OutputPath = Path("runs/isomers"),
    json: JsonPath = None,
) -> None:
    """Table 5.5 in small: energies alone against energies and forces on isomers, known and unknown (iso17-xtb).

    The data are a surrogate of ISO17: 129 isomers of QM9 at 500 K, with GFN2-xTB.

    Parameters
    ----------
    data
        Folder with frames.npz and split.npz; those that come along by default. examples/isomers/sample.py makes
        new ones.
    evaluate_only
        Test the shipped models; otherwise train, or go on with, models of the same configuration.
    steps
        In place of the configurations'.
    output
        Folder of the trainings.
    """
    from schnet_calc.studies.isomers import isomer_rows

    with progress_bar() as bar:
        rows = isomer_rows(data, None if evaluate_only else output, steps, Stages(bar))
    title = "Table 5.5 of the thesis with iso17-xtb, mean absolute errors"
    headings = ("trained on", "tested on", "energy, kcal/mol", "thesis", "force, kcal/mol/Å", "thesis")
    print_columns(title, headings, [row.cells() for row in rows])
    out.print("the thesis trains on 400,000 frames with DFT labels, this on some 3,000 with GFN2-xTB")
    write_json(json, {"rows": [row.to_dict() for row in rows]})
