"""Commands that run a model: relaxation, paths, dynamics."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from schnet_calc.cli.console import (
    Speed,
    command_line,
    listed,
    noting,
    print_table,
    stages_shown,
    tell_doubts,
    warn,
    write_json,
)
from schnet_calc.cli.options import Flat, ModelOptions, OutputOptions, OutputPath, PreciseModelOptions, read
from schnet_calc.simulate.settings import BandSettings, MDSettings, RelaxSettings
from schnet_calc.stages import WithEquilibration


@dataclass(frozen=True)
class RelaxOutput(OutputOptions):
    """What ``relax`` writes."""

    output: OutputPath = Path("relaxed.xyz")
    """The relaxed structure, in any format that ASE writes; figures and numbers get its name."""
    json: Path | None = None
    """Where to write the numbers instead."""

    def __post_init__(self) -> None:
        if self.output.suffix == ".json" and self.json is None:
            raise ValueError(
                f"-o {self.output} would be overwritten by the numbers: choose another ending, or say --json"
            )


def relax(
    structure: Path,
    *,
    settings: Annotated[RelaxSettings, Flat] = RelaxSettings(),
    model: PreciseModelOptions,
    out: RelaxOutput = RelaxOutput(),
) -> None:
    """Relax a structure.

    Parameters
    ----------
    structure
        Any file that ASE reads.
    """
    if settings.pressure and not settings.cell:
        raise ValueError(f"--pressure {settings.pressure:g} (GPa) acts on the cell: say --cell, too")
    atoms, output = read(structure), out.output
    import ase.io
    from ase.units import GPa

    from schnet_calc import plots
    from schnet_calc.simulate.relax import check_converged, relax as run

    calculator = model.calculator()
    output.parent.mkdir(parents=True, exist_ok=True)
    with stages_shown():
        result = run(atoms, calculator, **{**asdict(settings), "pressure": settings.pressure * GPa})
    ase.io.write(output, result.atoms)
    figures = plots.draw_to(output.with_suffix(""), plots.draw_relaxation, result.energies)
    rows = {
        "converged": result.converged,
        "steps": result.steps,
        "energy": f"{result.energies[-1]:.6f} eV",
        "largest force": f"{result.fmax:.2e} eV/Å",
        "files": listed(output, *figures),
    }
    if settings.cell:
        a, b, c, *angles = result.atoms.cell.cellpar()
        rows["cell"] = f"{a:.4f}, {b:.4f}, {c:.4f} Å, {', '.join(f'{x:.2f}' for x in angles)}°"
    print_table(f"relaxation of {structure.name}", rows)
    write_json(
        out.json or output.with_suffix(".json"),
        {"task": "relaxation", **calculator.todict(), **result.to_dict(), "command": command_line()},
    )
    if settings.steps:  # none asks for a look at where it stands
        check_converged(result, "the relaxation")
    tell_doubts(calculator)


@dataclass(frozen=True)
class BandOutput(OutputOptions):
    """What ``neb`` writes."""

    output: OutputPath = Path("neb")
    """Name of the trajectory of the band and of the figures, without ending."""


def neb(
    first: Path,
    last: Path,
    *,
    settings: Annotated[BandSettings, Flat] = BandSettings(),
    model: PreciseModelOptions,
    out: BandOutput = BandOutput(),
) -> None:
    """The minimum energy path between two relaxed structures, and its barrier.

    Parameters
    ----------
    first
        A file that ASE reads.
    last
        Another: the same atoms in the same order.
    """
    ends = (read(first), read(last))
    import ase.io

    from schnet_calc import plots
    from schnet_calc.simulate.neb import relax_band
    from schnet_calc.simulate.relax import check_converged

    calculator = model.calculator()
    out.output.parent.mkdir(parents=True, exist_ok=True)
    with stages_shown():
        band = relax_band(*ends, calculator, settings.images, settings.fmax, settings.steps)
    path = Path(f"{out.output}.traj")
    ase.io.write(path, band.images)
    figures = plots.draw_to(out.output, plots.draw_band, band.images)
    values = band.to_dict()
    print_table(
        f"{first.name} to {last.name}",
        {
            "converged": band.converged,
            "steps": band.steps,
            "barrier": f"{band.barrier:.4f} eV",
            "back": f"{values['reverse_barrier_ev']:.4f} eV",
            "files": listed(path, *figures),
        },
    )
    write_json(out.json, values)
    check_converged(band, "the band")
    tell_doubts(calculator)


@dataclass(frozen=True)
class MDOutput(OutputOptions):
    """What ``md`` writes."""

    output: OutputPath = Path("md")
    """Folder for md.traj, md.csv and the figures."""


def md(
    structure: Path,
    *,
    settings: Annotated[MDSettings, Flat],
    replicas: int = 1,
    resume: bool = False,
    model: ModelOptions,
    out: MDOutput = MDOutput(),
) -> None:
    """Molecular dynamics, streamed to a folder.

    Parameters
    ----------
    structure
        Any file that ASE reads; its momenta are used if it has any.
    replicas
        Copies with velocities of their own, one batch per step; thermostats none and langevin only.
    resume
        Go on with the run in the folder.
    """
    if replicas < 1:
        raise ValueError(f"replicas must be at least 1, got {replicas}")
    atoms = read(structure)
    from schnet_calc import plots
    from schnet_calc.simulate.md import run_md
    from schnet_calc.simulate.replicas import run_replicas

    calculator = model.calculator()
    bias = _bias(atoms, calculator, settings)
    speed = Speed(settings.timestep)
    with stages_shown() as stages:
        progress = noting(
            out.output, WithEquilibration(stages, ("equilibration", "MD"), settings.n_steps, speed)
        )
        if replicas > 1:
            atoms.set_momenta(None)  # each draws its own
            several = run_replicas([atoms] * replicas, calculator, settings, out.output, resume, progress)
            run, means = several.run, several.averages(settings.thermostat)
        else:
            run = run_md(atoms, calculator, settings, out.output, resume, progress)
            means = run.averages()
    drawn = (plots.draw_energy_and_temperature, run.table())
    figures = plots.draw_to(out.output / "md", *drawn, size=(9, 3.2), columns=2)
    rows, numbers = _told(run, means, settings, len(atoms), replicas)
    told = {"speed": speed(settings.n_steps), "doubtful_structures": calculator.guard.count}
    rows |= {name.replace("_", " "): value for name, value in told.items()}
    if bias is not None:
        rows["expected bias, timestep"] = (
            f"{bias.of_timestep:+.1%} of the vibrations' energy, lines up to {bias.line_shift:.1f} cm⁻¹ too high"
        )
        numbers |= {"bias_of_timestep": bias.of_timestep, "line_shift_cm1": bias.line_shift}
    print_table(f"MD of {structure.name}", {**rows, "files": listed(run.trajectory, run.log, *figures)})
    write_json(out.json, {**numbers, **told})
    tell_doubts(calculator)


def _bias(atoms: Any, calculator: Any, settings: MDSettings) -> Any:
    """What the time step makes of the harmonic modes of the structure, after a warning if that is much."""
    from schnet_calc.model import Model
    from schnet_calc.simulate.bias import expected_bias, has_modes

    if not has_modes(atoms):
        return None
    alone = Model(calculator.potentials, **calculator.model.settings, on_doubt="ignore")
    bias = expected_bias(atoms, alone, settings.temperature, 1, settings.timestep)
    for text in [] if bias is None else bias.warnings(quantum=False):
        warn(text)
    return bias


def _told(
    run: Any, means: dict[str, Any], settings: MDSettings, n_atoms: int, replicas: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Means of a run with their errors, as rows of the table and as numbers."""
    import numpy as np

    from schnet_calc.simulate.md_files import EQUILIBRATION

    time, drift = float(run.table()["time_ps"][-1]), run.drift(n_atoms)
    each = " per replica" if replicas > 1 else ""
    rows: dict[str, Any] = {
        "time": f"{time:g} ps, means without the first {EQUILIBRATION:.0%}",
        "temperature": f"{means['temperature_k']} K, {settings.temperature:g} K asked for",
        "potential energy": f"{means['potential_ev']} eV{each}",
        "total energy": f"{means['total_ev']} eV{each}",
    }
    if settings.thermostat == "none":
        rows["drift"] = f"{1e3 * drift:.2g} meV/atom/ps"
        if replicas == 1 and n_atoms < 30:
            scatter = 1.0 / math.sqrt(max(3 * n_atoms - 6, 1))
            rows["single run"] = f"temperatures of such runs scatter by {scatter:.0%}: use --replicas"
    grades = run.table().get("largest_grade", np.zeros(0))
    if np.isfinite(grades).any():
        rows["largest grade"] = f"{np.nanmax(grades):.2g} of the frames' atoms; above 1 is outside"
    if run.npt:
        means["volume_ang3"] = run.volume()
        rows["volume"] = f"{means['volume_ang3']} Å³"
    numbers: dict[str, Any] = {
        "time_ps": time,
        "asked_temperature_k": settings.temperature,
        **{name: mean.to_dict() for name, mean in means.items()},
        "total_energy_drift_ev_per_atom_ps": drift,
    }
    if "largest grade" in rows:
        numbers["largest_grade"] = float(np.nanmax(grades))
    return rows, numbers
