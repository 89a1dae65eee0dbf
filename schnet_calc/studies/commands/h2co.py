"""The formaldehyde study."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from schnet_calc.cli.console import command_line, print_table, stages_shown, tell_doubtful, write_json
from schnet_calc.cli.options import Flat, OutputOptions, OutputPath, check_model
from schnet_calc.studies.settings import H2COSettings


@dataclass(frozen=True)
class H2COOutput(OutputOptions):
    """What ``h2co`` writes."""

    output: OutputPath = Path("h2co_results")
    """Folder for trajectories, figures, h2co.json and index.html."""


def h2co(
    *, settings: Annotated[H2COSettings, Flat] = H2COSettings(), out: H2COOutput = H2COOutput()
) -> None:
    """The formaldehyde study: harmonic, VPT2, classical and quantum infrared spectra of H2CO and D2CO.

    With its defaults it takes about 20 minutes of one core; what a folder has of it isn't computed again.
    """
    output = out.output
    check_model(settings.model)
    from schnet_calc.studies.h2co import MEASURED, study_h2co, whole
    from schnet_calc.studies.h2co_page import write_h2co_report
    from schnet_calc.studies.study_page import StudyPage

    with stages_shown() as stages:
        study = study_h2co(output, settings, stages)
    page = write_h2co_report(study, StudyPage(output, settings.model, command_line()))
    rows = {}
    for m in study.molecules:
        for name, values in (
            ("harmonic", m.modes.frequencies),
            ("VPT2", m.anharmonic.fundamentals),
            ("measured", MEASURED[m.name]),
            ("km/mol", m.intensities),
        ):
            rows[f"{m.name}, {name}"] = ", ".join(f"{v:.0f}" for v in values)
        for name, moving in (("classical", m.classical), ("TRPMD", m.quantum)):
            rows[f"{m.name}, {name}"] = ", ".join(whole(e) for e in moving.peaks())
            absorption = zip(m.bands, moving.absorption(m.bands)[0], strict=True)
            rows[f"{m.name}, {name}, km/mol"] = "; ".join(
                f"{band.low:.0f} to {band.high:.0f}: {whole(e)}" for band, e in absorption
            )
            rows[f"{m.name}, {name}, K"] = ", ".join(whole(e) for e in moving.temperatures())
    print_table("formaldehyde, cm⁻¹", {**rows, "doubtful structures": study.doubtful, "page": page})
    write_json(out.json, json.loads((output / "h2co.json").read_text()))
    tell_doubtful(study.doubtful)
