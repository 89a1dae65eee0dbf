"""``schnet-calc reproduce`` for tables and figures of networks of other sizes, in small."""

from pathlib import Path
from typing import Annotated

from schnet_calc.cli.console import Stages, out, print_table, progress_bar, write_json
from schnet_calc.cli.options import JsonPath, OutputPath, Several
from schnet_calc.studies.commands.tables import print_columns


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


def insight(
    *,
    model: str = "qm9",
    data: Path = Path("qm9pack"),
    molecules: int | None = None,
    sample: int = 5000,
    output: OutputPath = Path("runs/insight"),
    json: JsonPath = None,
) -> None:
    """Figures 4.8 and 4.10 to 4.14: contributions, potentials, breaking bonds, stability of rings, on QM9.

    Parameters
    ----------
    model
        A model of QM9's energies.
    data
        QM9: the installed qm9pack (extra qm9), its wheel or its folder of data.
    molecules
        Look for rings in as many only, drawn at random; all by default, which takes minutes.
    sample
        Molecules, drawn at random, for contributions and pair distributions.
    output
        Folder of the figures.
    """
    from schnet_calc.data.qm9 import read_qm9
    from schnet_calc.studies.figures import draw_qm9_figures
    from schnet_calc.studies.qm9_insight import study_qm9

    with progress_bar() as bar:
        study = study_qm9(model, read_qm9(data), molecules, sample, progress=Stages(bar))
    draw_qm9_figures(study, output)
    found = study.contributions.to_dict()
    rows = {f"{s} atoms": f"{v['mean_ev']:.2f} ± {v['std_ev']:.2f} eV" for s, v in found.items()}
    if study.rings:
        first, last = study.rings[0], study.rings[-1]
        rows["flat six-membered rings of carbon"] = str(len(study.rings))
        for name, ring in (("most stable", first), ("least stable", last)):
            formula = ring.atoms.get_chemical_formula()
            rows[name] = f"{ring.energy:.2f} eV in row {ring.row}, {formula}"
    for name, (_, surface) in study.surfaces.items():
        rows[f"potential around {name}"] = f"{surface.values.min():.2f} to {surface.values.max():.2f} eV"
    print_table(f"inside {model}", {**rows, "folder": output})
    write_json(json, study.to_dict())
