"""Commands that run a model: relaxation, normal modes, paths, dynamics."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schnet_calc.cli.app import Output, app, open_model, tell_doubts
from schnet_calc.cli.console import Speed, Stages, print_table, progress_bar, write_json


@app.command
def relax(
    structure: Path,
    *,
    model: str,
    fmax: float = 1e-3,
    steps: int = 1000,
    optimizer: str = "BFGS",
    cell: bool = False,
    pressure: float = 0.0,
    dtype: str = "float64",
    device: str = "auto",
    engine: str = "auto",
    output: Output = Path("relaxed.xyz"),
    json: Path | None = None,
) -> None:
    """Relax a structure.

    Parameters
    ----------
    structure
        Any file that ASE reads.
    model
        A model file, or the name of a shipped model.
    fmax
        Largest force to end with, eV/Å.
    cell
        Relax the cell of a crystal as well.
    pressure
        GPa, on that cell.
    engine
        auto, compiled or script; script runs the TorchScript of foreign files.
    output
        The relaxed structure, in any format that ASE writes; figures and numbers get its name.
    json
        Where to write the numbers instead.
    """
    import ase.io
    from ase.units import GPa

    from schnet_calc import plots
    from schnet_calc.data import read_structure
    from schnet_calc.simulate.relax import relax as run

    if output.suffix == ".json" and json is None:
        raise ValueError(
            f"-o {output} would be overwritten by the numbers: choose another ending, or say --json"
        )
    if pressure and not cell:
        raise ValueError(f"--pressure {pressure:g} (GPa) acts on the cell: say --cell, too")
    output.parent.mkdir(parents=True, exist_ok=True)
    calculator = open_model(model, device, dtype, engine=engine)
    result = run(read_structure(structure), calculator, fmax, steps, optimizer, cell, pressure * GPa)
    ase.io.write(output, result.atoms)
    figure, axes = plots.new_figure(5.5, 3.6)
    plots.draw_relaxation(axes, result.energies)
    plots.save_figure(figure, output.with_suffix(""))
    rows = {
        "converged": result.converged,
        "steps": result.steps,
        "energy": f"{result.energies[-1]:.6f} eV",
        "largest force": f"{result.fmax:.2e} eV/Å",
        "structure": output,
    }
    if cell:
        a, b, c, *angles = result.atoms.cell.cellpar()
        rows["cell"] = f"{a:.4f}, {b:.4f}, {c:.4f} Å, {', '.join(f'{x:.2f}' for x in angles)}°"
    print_table(f"relaxation of {structure.name}", rows)
    write_json(
        json or output.with_suffix(".json"),
        {"task": "relaxation", **calculator.todict(), **result.to_dict()},
    )
    if not result.converged:
        raise RuntimeError(f"not converged after {steps} steps: largest force {result.fmax:.2e} eV/Å")
    tell_doubts(calculator)


@app.command
def neb(
    first: Path,
    last: Path,
    *,
    model: str,
    images: int = 7,
    fmax: float = 0.05,
    steps: int = 500,
    dtype: str = "float64",
    device: str = "auto",
    engine: str = "auto",
    output: Output = Path("neb"),
    json: Path | None = None,
) -> None:
    """The minimum energy path between two relaxed structures, and its barrier.

    Parameters
    ----------
    first, last
        Files that ASE reads: the same atoms in the same order.
    model
        A model file, or the name of a shipped model.
    images
        Between the two.
    fmax
        Largest force across the band to end with, eV/Å.
    engine
        auto, compiled or script; script runs the TorchScript of foreign files.
    output
        Name of the trajectory of the band and of the figures, without ending.
    """
    import ase.io

    from schnet_calc import plots
    from schnet_calc.data import read_structure
    from schnet_calc.simulate.neb import relax_band

    output.parent.mkdir(parents=True, exist_ok=True)
    ends = (read_structure(first), read_structure(last))
    band = relax_band(*ends, open_model(model, device, dtype, engine=engine), images, fmax, steps)
    path = Path(f"{output}.traj")
    ase.io.write(path, band.images)
    figure, axes = plots.new_figure(5.5, 3.6)
    plots.draw_band(axes, band.images)
    plots.save_figure(figure, output)
    values = band.to_dict()
    print_table(
        f"{first.name} to {last.name}",
        {
            "converged": band.converged,
            "steps": band.steps,
            "barrier": f"{band.barrier:.4f} eV",
            "back": f"{values['reverse_barrier_ev']:.4f} eV",
            "path": path,
        },
    )
    write_json(json, values)
    if not band.converged:
        raise RuntimeError(f"not converged after {steps} steps: largest force {band.fmax:.2e} eV/Å")


@app.command
def md(
    structure: Path,
    *,
    model: str,
    temperature: float,
    time: float,
    timestep: float = 0.5,
    thermostat: str | None = None,
    time_constant: float = 100.0,
    pressure: float | None = None,
    interval: int = 5,
    equilibrate: float | None = None,
    seed: int = 0,
    replicas: int = 1,
    on_doubt: str = "warn",
    max_forces_std: float | None = None,
    resume: bool = False,
    device: str = "auto",
    engine: str = "auto",
    dtype: str | None = None,
    output: Output = Path("md"),
    json: Path | None = None,
) -> None:
    """Molecular dynamics, streamed to a folder.

    Parameters
    ----------
    structure
        Any file that ASE reads; its momenta are used if it has any.
    model
        A model file, or the name of a shipped model.
    temperature
        K, of the first velocities and of the thermostat. The table has the one that was reached beside it.
    time
        ps in all.
    timestep
        fs.
    thermostat
        none (NVE, for spectra), langevin, bussi or nose-hoover; langevin by default, nose-hoover with a pressure.
    time_constant
        fs, of the thermostat; of the barostat ten times as much.
    pressure
        GPa: the cell of a crystal takes the volume that this needs (NPT); with nose-hoover only.
    interval
        Steps between frames, which hold positions, momenta and forces. 2.5 fs, the default, suits all spectra.
    equilibrate
        ps with Langevin's thermostat before the run, not written. Ten time constants by default without a
        thermostat and for replicas, none else or for a structure that comes with momenta.
    replicas
        Copies with velocities of their own, one batch per step; thermostats none and langevin only.
    on_doubt
        Structures outside of what the model knows: warn, ignore, stop, or an .extxyz file to write them to.
    max_forces_std
        eV/Å; disagreement of a committee (models joined by +) about a force that is a reason for doubt.
    resume
        Go on with the run in the folder.
    engine
        auto, compiled or script; script runs the TorchScript of foreign files.
    output
        Folder for md.traj, md.csv and the figures.
    """
    from schnet_calc import plots
    from schnet_calc.data import read_structure
    from schnet_calc.simulate.md import run_md
    from schnet_calc.simulate.md_files import MDSettings
    from schnet_calc.simulate.replicas import run_replicas

    thermostat = thermostat or ("langevin" if pressure is None else "nose-hoover")
    settings = MDSettings(
        temperature, time, timestep, thermostat, time_constant, interval, seed, pressure, equilibrate
    )
    if replicas < 1:
        raise ValueError(f"replicas must be at least 1, got {replicas}")
    atoms = read_structure(structure)
    calculator = open_model(
        model, device, dtype, engine=engine, on_doubt=on_doubt, max_forces_std=max_forces_std
    )
    speed = Speed(timestep)
    with progress_bar() as bar:
        progress = _progress(Stages(bar), settings.n_steps, speed)
        if replicas > 1:
            atoms.set_momenta(None)  # each draws its own
            several = run_replicas([atoms] * replicas, calculator, settings, output, resume, progress)
            run, means = several.run, several.averages(thermostat)
        else:
            run = run_md(atoms, calculator, settings, output, resume, progress)
            means = run.averages()
    figure, axes = plots.new_figure(9, 3.2, 2)
    plots.draw_energy_and_temperature(axes, run.table())
    plots.save_figure(figure, output / "md")
    size, rate = (len(atoms), replicas), speed(settings.n_steps)
    _tell_md(structure, run, means, settings, size, rate, calculator.guard.count, json)
    tell_doubts(calculator)


def _progress(stages: Stages, n_steps: int, speed: Speed) -> Callable[[int, Any], None]:
    """Show steps of the equilibration, which are negative, and those of the run."""
    warming: list[int] = []

    def progress(step: int, _: Any) -> None:
        if step < 0:
            warming.append(-step)
            stages("equilibration", warming[0] + step, warming[0])
        else:
            stages("MD", step, n_steps, speed(step))

    return progress


def _tell_md(
    structure: Path,
    run: Any,
    means: dict[str, Any],
    settings: Any,
    size: tuple[int, int],
    rate: str,
    n_doubts: int,
    json: Path | None,
) -> None:
    """Print means of a run of so many atoms and replicas with their errors, and write them."""
    from schnet_calc.simulate.md_files import EQUILIBRATION

    (n_atoms, replicas), time = size, float(run.table()["time_ps"][-1])
    drift, each = run.drift(n_atoms), " per replica" if replicas > 1 else ""
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
    if run.npt:
        means["volume_ang3"] = run.volume()
        rows["volume"] = f"{means['volume_ang3']} Å³"
    rows |= {"speed": rate, "doubtful structures": n_doubts, "trajectory": run.trajectory}
    print_table(f"MD of {structure.name}", rows)
    numbers: dict[str, Any] = {
        "time_ps": time,
        "asked_temperature_k": settings.temperature,
        **{name: {"value": mean.value, "error": mean.error} for name, mean in means.items()},
        "total_energy_drift_ev_per_atom_ps": drift,
        "speed": rate,
        "doubtful_structures": n_doubts,
    }
    write_json(json, numbers)
