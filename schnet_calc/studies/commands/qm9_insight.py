"""``schnet-calc reproduce insight``: what the network of QM9 has learned."""

from pathlib import Path

from schnet_calc.cli.console import Stages, print_table, progress_bar, write_json
from schnet_calc.cli.options import JsonPath, OutputPath


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
    from schnet_calc.studies.qm9_figures import draw_qm9_figures
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
