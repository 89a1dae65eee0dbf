"""The C20 study."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from schnet_calc.cli.console import command_line, print_table, stages_shown, write_json
from schnet_calc.cli.options import Flat, OutputOptions, OutputPath, check_model
from schnet_calc.studies.settings import C20Settings


@dataclass(frozen=True)
class C20Output(OutputOptions):
    """What ``c20`` writes."""

    output: OutputPath = Path("c20_results")
    """Folder for trajectories, figures, c20.json and index.html."""


def c20(*, settings: Annotated[C20Settings, Flat] = C20Settings(), out: C20Output = C20Output()) -> None:
    """The C20 study: relaxation, bonds, normal modes and MD, with figures and a page."""
    output = out.output
    check_model(settings.model)
    from schnet_calc.studies.c20 import study_c20
    from schnet_calc.studies.c20_page import write_c20_report
    from schnet_calc.studies.study_page import StudyPage

    with stages_shown() as stages:
        study = study_c20(output, settings, stages)
    page = write_c20_report(study, StudyPage(output, settings.model, command_line()))
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
                f"{study.quantum.nearest.spread:.4f} Å with {settings.beads} beads"
            ),
            "diameter": _both(study.classical.diameter, study.quantum.diameter, 3),
            "page": page,
        },
    )
    write_json(out.json, json.loads((output / "c20.json").read_text()))


def _both(classical: Any, quantum: Any, digits: int) -> str:
    return f"{classical.mean:.{digits}f} Å classical, {quantum.mean:.{digits}f} Å path integral"
