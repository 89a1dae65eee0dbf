"""``schnet-calc reproduce learning-curve``: errors against the number of training molecules."""

from pathlib import Path
from typing import Annotated

from schnet_calc.cli.console import Stages, progress_bar, write_json
from schnet_calc.cli.options import JsonPath, OutputPath, Several
from schnet_calc.studies.commands.columns import print_columns


def learning_curve(
    *,
    sizes: Annotated[list[int] | None, Several] = None,
    interactions: Annotated[list[int] | None, Several] = None,
    dtnn: bool = True,
    steps: int = 20_000,
    data: Path | None = None,
    output: OutputPath = Path("runs/learning_curve"),
    json: JsonPath = None,
) -> None:
    """Figure 4.6: errors on QM9 against the number of training molecules and of interactions.

    Parameters
    ----------
    sizes
        Molecules to train on; 1,000, 10,000, 50,000 and 110,000 by default.
    interactions
        Numbers of interactions; 1, 2, 3 and 6 by default.
    dtnn
        Train a DTNN with three interactions, too.
    steps
        Of each training.
    data
        QM9, where it is not the installed package.
    output
        Folder with a training each, and the figure; what is there is continued.
    """
    from schnet_calc import plots
    from schnet_calc.studies.figures import draw_data_efficiency
    from schnet_calc.studies.learning_curve import NETWORKS, PUBLISHED, SIZES, run_learning_curve

    networks = [n for n in NETWORKS if n[0] == "DTNN"] if dtnn else []
    schnets = [n for n in NETWORKS if n[0] == "SchNet"]
    if interactions:
        schnets = [("SchNet", n) for n in interactions]
    with progress_bar() as bar:
        points = run_learning_curve(output, sizes or SIZES, schnets + networks, steps, data, Stages(bar))
    title = f"U0 of QM9, {steps} steps, mean absolute errors, kcal/mol"
    print_columns(
        title, ("network", "T", "training molecules", "ours", "thesis"), [p.cells() for p in points]
    )
    plots.draw_to(output / "learning_curve", draw_data_efficiency, points, PUBLISHED, size=(5.5, 4))
    write_json(json, {"points": [p.to_dict() for p in points]})
