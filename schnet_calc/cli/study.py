"""The command of the C20 study."""

import sys
from pathlib import Path

from schnet_calc.cli.app import Output, app
from schnet_calc.console import Stages, print_table, progress_bar


@app.command
def c20(
    *,
    model: str = "c20",
    time: float = 10.0,
    temperature: float = 300.0,
    seed: int = 0,
    device: str = "auto",
    output: Output = Path("c20_results"),
) -> None:
    """The C20 study: relaxation, bonds, normal modes and MD, with figures and a page.

    Parameters
    ----------
    model
        A model of C20; the shipped one by default.
    time
        ps of MD with thermostat. A run that is there is continued.
    temperature
        K.
    output
        Folder for trajectories, figures, c20.json and index.html.
    """
    from schnet_calc.potential import load_model
    from schnet_calc.report import write_c20_report
    from schnet_calc.tasks.c20 import study_c20

    with progress_bar() as bar:
        study = study_c20(
            model,
            output,
            time=time,
            nve_time=min(time, 2.0),
            temperature=temperature,
            seed=seed,
            device=device,
            progress=Stages(bar),
        )
    command = "schnet-calc " + " ".join(sys.argv[1:])
    page = write_c20_report(study, output, load_model(model).metadata, model, command)
    lengths = ", ".join(f"{c.mean:.3f} Å ({len(c.members)})" for c in study.bond_classes)
    print_table(
        "C20",
        {
            "bonds": lengths,
            "imaginary modes": study.modes.n_imaginary,
            "largest frequency error": f"{abs(study.frequency_errors).max():.1f} cm⁻¹",
            "zero-point energy": f"{study.modes.zero_point_energy:.4f} eV",
            "NVE drift": f"{study.drift:.1e} eV/atom/ps",
            "nearest neighbours": f"{study.classical.nearest.mean:.4f} Å",
            "diameter": f"{study.classical.diameter.mean:.3f} Å",
            "page": page,
        },
    )
