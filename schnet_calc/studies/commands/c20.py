"""The C20 study."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from schnet_calc.cli.console import Stages, command_line, print_table, progress_bar, write_json
from schnet_calc.cli.options import Flat, OutputOptions, OutputPath, check_model


@dataclass(frozen=True)
class C20Settings:
    """How much is simulated, and with which model."""

    model: str = "c20"
    """A model of C20."""
    time: float | None = None
    """ps of classical MD with thermostat and of path-integral MD (the thesis: 1250); by default 10 and 2. Runs that
    are there are continued."""
    beads: int = 8
    """Of the path-integral MD."""
    temperature: float = 300.0
    """K."""
    seed: int = 0
    """Of velocities and thermostats."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda[:N]."""


@dataclass(frozen=True)
class C20Output(OutputOptions):
    """What ``c20`` writes."""

    output: OutputPath = Path("c20_results")
    """Folder for trajectories, figures, c20.json and index.html."""


def c20(*, settings: Annotated[C20Settings, Flat] = C20Settings(), out: C20Output = C20Output()) -> None:
    """The C20 study: relaxation, bonds, normal modes and MD, with figures and a page."""
    model, time, output = settings.model, settings.time, out.output
    check_model(model)
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
            beads=settings.beads,
            temperature=settings.temperature,
            seed=settings.seed,
            device=settings.device,
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
                f"{study.quantum.nearest.spread:.4f} Å with {settings.beads} beads"
            ),
            "diameter": _both(study.classical.diameter, study.quantum.diameter, 3),
            "page": page,
        },
    )
    write_json(out.json, json.loads((output / "c20.json").read_text()))


def _both(classical: Any, quantum: Any, digits: int) -> str:
    return f"{classical.mean:.{digits}f} Å classical, {quantum.mean:.{digits}f} Å path integral"
