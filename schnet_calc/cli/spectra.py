"""The command for spectra of dynamics."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from schnet_calc.cli.console import command_line, listed, print_table, stages_shown, write_json
from schnet_calc.cli.options import Flat, FrameOptions, OutputOptions, OutputPath, check_files, check_model


@dataclass(frozen=True)
class SpectrumSettings:
    """How spectra are made of dynamics."""

    quantum: Literal["harmonic", "none"] = "harmonic"
    """Correction of the classical lineshape, at the temperature that the runs had."""
    resolution: float | None = None
    """cm⁻¹; by default 5, or as fine as the length of the runs allows without noise."""
    turned: bool = False
    """Turn dipoles with the frames onto the first one: a stiff molecule that rotates has lines without branches."""


@dataclass(frozen=True)
class Beside:
    """What is drawn beside the spectra."""

    modes: Path | None = None
    """JSON of the command modes, to draw the harmonic lines too."""
    experiment: Path | None = None
    """Measured lines or curve, as for the command modes."""


@dataclass(frozen=True)
class SpectrumOutput(OutputOptions):
    """What ``spectrum`` writes."""

    output: OutputPath = Path("spectrum")
    """Name of the figure, without ending."""
    json: Path | None = None
    """Where to write the spectra."""


def spectrum(
    *folders: Path,
    model: str | None = None,
    settings: Annotated[SpectrumSettings, Flat] = SpectrumSettings(),
    beside: Annotated[Beside, Flat] = Beside(),
    evaluation: FrameOptions = FrameOptions(),
    out: SpectrumOutput = SpectrumOutput(),
) -> None:
    """Spectra of the dynamics in folders: density of states, and infrared with a model that has dipoles.

    Runs of md --thermostat none and of pimd --method trpmd. Replicas and folders of one kind are pooled, with
    error bands by a jackknife. Frames that lie too far apart for the stiffest mode are refused, with the time that
    would do: --interval of md, --frame-stride of pimd.

    Parameters
    ----------
    folders
        Of runs of one molecule; those of classical dynamics and of path integrals are shown beside each other.
    model
        Of the dipoles.
    """
    if not folders:
        raise ValueError("name at least one folder with a run of md or pimd")
    check_files(*folders, beside.modes, beside.experiment)
    if model is not None:
        check_model(model)
    import json

    from schnet_calc import plots
    from schnet_calc.data.measured import read_measured
    from schnet_calc.simulate.dynamics import read_dynamics
    from schnet_calc.simulate.spectrum import spectra

    loaded = None if model is None else evaluation.open(model).model
    runs: dict[str, list[Any]] = {}
    for folder in folders:
        run = read_dynamics(folder)
        runs.setdefault(run.kind, []).append(run)
    with stages_shown():
        found = {
            kind: spectra(these, loaded, settings.quantum, settings.resolution, settings.turned)
            for kind, these in runs.items()
        }
    harmonic = None if beside.modes is None else json.loads(beside.modes.read_text())
    measured = None if beside.experiment is None else read_measured(beside.experiment)
    infrared = any(both.infrared is not None for both in found.values())
    count = 2 if infrared else 1
    figure, axes = plots.new_figure(6.5 * count, 3.8, count, squeeze=False)
    plots.draw_dynamic_spectra(axes[0], found, harmonic, measured)
    figures = plots.save_figure(figure, out.output)
    print_table("spectra", {**_rows(found), "files": listed(*figures)})
    command = {"command": command_line()}
    write_json(out.json, {kind: both.to_dict() | command for kind, both in found.items()})


def _rows(found: dict[str, Any]) -> dict[str, str]:
    rows = {}
    for kind, both in found.items():
        rows[f"temperature, {kind}"] = f"{both.temperature} K, {both.asked:g} K asked for"
        rows |= {f"note, {kind}": note for note in both.notes}
        for name, one in (("density of states", both.vibrational), ("infrared", both.infrared)):
            if one is not None:
                peaks = ", ".join(f"{p.position:.0f} ({p.height:.2f})" for p in one.peaks()[:20])
                rows[f"{name}, {kind}"] = (
                    f"{peaks or 'no peak above the noise'} cm⁻¹, resolution {one.resolution:.0f} cm⁻¹, "
                    f"replicas: {len(one.densities)}"
                )
    return rows
