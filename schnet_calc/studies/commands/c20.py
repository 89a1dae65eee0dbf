"""The C20 study."""

from pathlib import Path
from typing import Any

from schnet_calc.cli.console import Stages, command_line, print_table, progress_bar
from schnet_calc.cli.options import OutputPath


def c20(
    *,
    model: str = "c20",
    time: float | None = None,
    beads: int = 8,
    temperature: float = 300.0,
    seed: int = 0,
    device: str = "auto",
    output: OutputPath = Path("c20_results"),
) -> None:
    """The C20 study: relaxation, bonds, normal modes and MD, with figures and a page.

    Parameters
    ----------
    model
        A model of C20; the shipped one by default.
    time
        ps of classical MD with thermostat and of path-integral MD (the thesis: 1250); by default
        10 and 2. Runs that are there are continued.
    beads
        Of the path-integral MD.
    temperature
        K.
    output
        Folder for trajectories, figures, c20.json and index.html.
    """
    from schnet_calc.modelfile import load_potential
    from schnet_calc.studies.c20 import study_c20
    from schnet_calc.studies.c20_page import write_c20_report

    with progress_bar() as bar:
        study = study_c20(
            model,
            output,
            time=10.0 if time is None else time,
            nve_time=2.0 if time is None else min(time, 2.0),
            pimd_time=2.0 if time is None else time,
            beads=beads,
            temperature=temperature,
            seed=seed,
            device=device,
            progress=Stages(bar),
        )
    page = write_c20_report(study, output, load_potential(model).metadata.raw, model, command_line())
    lengths = ", ".join(f"{c.mean:.3f} Å ({len(c.members)})" for c in study.bond_classes)
    print_table(
        "C20",
        {
            "bonds": lengths,
            "imaginary modes": study.modes.n_imaginary,
            "largest frequency error": f"{abs(study.frequency_errors).max():.1f} cm⁻¹",
            "zero-point energy": f"{study.modes.zero_point_energy:.4f} eV",
            "NVE drift": f"{study.drift:.1e} eV/atom/ps",
            "nearest neighbours": _both(study.classical.nearest, study.quantum.nearest, 4),
            "their spread": (
                f"{study.classical.nearest.spread:.4f} Å classical, "
                f"{study.quantum.nearest.spread:.4f} Å with {beads} beads"
            ),
            "diameter": _both(study.classical.diameter, study.quantum.diameter, 3),
            "page": page,
        },
    )


def _both(classical: Any, quantum: Any, digits: int) -> str:
    return f"{classical.mean:.{digits}f} Å classical, {quantum.mean:.{digits}f} Å path integral"
