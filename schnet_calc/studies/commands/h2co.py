"""The formaldehyde study."""

from pathlib import Path

from schnet_calc.cli.console import Stages, command_line, print_table, progress_bar
from schnet_calc.cli.options import OutputPath


def h2co(
    *,
    model: str = "h2co",
    time: float = 3.0,
    pimd_time: float = 2.0,
    beads: int = 16,
    temperature: float = 300.0,
    seed: int = 0,
    device: str = "auto",
    output: OutputPath = Path("h2co_results"),
) -> None:
    """The formaldehyde study: harmonic, VPT2, classical and quantum infrared spectra of H2CO and D2CO, with a page.

    Parameters
    ----------
    model
        A model of formaldehyde with dipoles; the shipped one by default.
    time, pimd_time
        ps of each of 20 classical replicas, and of each of 8 ring polymers. Runs that are there are continued.
    beads
        Of TRPMD.
    temperature
        K.
    output
        Folder for trajectories, figures, h2co.json and index.html.
    """
    from schnet_calc.modelfile import load_potential
    from schnet_calc.studies.h2co import MEASURED, study_h2co, whole
    from schnet_calc.studies.h2co_page import write_h2co_report

    with progress_bar() as bar:
        study = study_h2co(
            model,
            output,
            time=time,
            pimd_time=pimd_time,
            beads=beads,
            temperature=temperature,
            seed=seed,
            device=device,
            progress=Stages(bar),
        )
    page = write_h2co_report(study, output, load_potential(model).metadata.raw, model, command_line())
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
            bands = [
                f"{low:.0f} to {high:.0f}: {whole(moving.band(low, high))}" for _, low, high in m.bands
            ]
            rows[f"{m.name}, {name}, km/mol"] = "; ".join(bands)
            rows[f"{m.name}, {name}, K"] = ", ".join(whole(e) for e in moving.temperatures())
    print_table("formaldehyde, cm⁻¹", {**rows, "page": page})
