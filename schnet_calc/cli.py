"""The command line: arguments in, tables out."""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from schnet_calc import __version__
from schnet_calc.console import (
    Speed,
    Stages,
    err,
    out,
    print_table,
    progress_bar,
    write_json,
)

app = App(
    name="schnet-calc",
    help="Trained SchNet potentials: relaxation, normal modes, molecular dynamics, training.",
    version=__version__,
)
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
OptionalOutput = Annotated[Path | None, Parameter(name=["--output", "-o"])]
EXPECTED = (ValueError, OSError, FloatingPointError, RuntimeError, NotImplementedError)


@app.command
def info(model: str) -> None:
    """Show what a model file says about itself.

    Parameters
    ----------
    model
        A model file, or the name of a shipped model.
    """
    from ase.data import chemical_symbols

    from schnet_calc.potential import load_model

    potential = load_model(model)
    data = potential.metadata
    training = data.get("training", {})
    rows = {
        "file": potential.path,
        "network": data.get("architecture", "unknown"),
        **{k: v for k, v in data.get("hyperparameters", {}).items() if v is not None},
        "elements": ", ".join(chemical_symbols[z] for z in potential.elements),
        "dtype": data["dtype"],
        "format version": data["format_version"],
        "weights SHA-256": data.get("weights_sha256", "none in the file"),
    }
    for key in ("data", "n_train", "steps", "command"):
        if key in training:
            rows[key] = training[key]
    errors = training.get("test_errors") or training.get("validation_errors") or {}
    rows.update({k: f"{v:.5f}" for k, v in errors.items() if isinstance(v, float)})
    print_table("model", rows)


@app.command
def train(
    config: Path | None = None,
    *,
    data: str | None = None,
    output: Output = Path("runs/model"),
    resume: bool = False,
    n_train: int | None = None,
    n_validation: int | None = None,
    n_features: int | None = None,
    n_interactions: int | None = None,
    cutoff: float | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    rho: float | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> None:
    """Train a SchNet; the folder gets checkpoints, metrics.csv, a learning curve and model.pt.

    Parameters
    ----------
    config
        A TOML file with [data], [model] and [training]; options given here come before it.
    data
        Labelled structures: MD17/rMD17 npz, or anything ASE reads.
    output
        Folder of the run.
    resume
        Go on with the run in the folder.
    """
    from schnet_calc import plots
    from schnet_calc.tasks.train import finish
    from schnet_calc.training import Run, RunConfig

    given = RunConfig.from_toml(config) if config else RunConfig()
    options: dict[str, dict[str, Any]] = {
        "data": {"file": data, "n_train": n_train, "n_validation": n_validation},
        "model": {"n_features": n_features, "n_interactions": n_interactions, "cutoff": cutoff},
        "training": {
            "steps": steps,
            "batch_size": batch_size,
            "rho": rho,
            "learning_rate": learning_rate,
            "seed": seed,
            "dtype": dtype,
            "device": device,
            "threads": threads,
        },
    }
    parts = {
        section: replace(getattr(given, section), **{k: v for k, v in values.items() if v is not None})
        for section, values in options.items()
    }
    settings = replace(given, **parts)
    if not settings.data.file:
        raise ValueError("no data: name a config file or give --data FILE")
    run = Run(settings, output, resume=resume)
    with progress_bar() as bar:
        stages = Stages(bar)
        note = ""

        def report(run: Run, errors: Any) -> None:
            nonlocal note
            if errors is not None:
                note = str(errors)
                bar.console.print(f"step {run.step}: {note}")
            stages("training", run.step, settings.training.steps)

        run.run(report)
        errors = finish(
            run,
            command="schnet-calc " + " ".join(sys.argv[1:]),
            progress=lambda done, total: stages("test frames", done, total),
        )
    figure, axes = plots.new_figure(5.5, 3.6)
    plots.draw_learning_curve(axes, output / "metrics.csv")
    plots.save_figure(figure, output / "learning_curve")
    out.print(f"model in {output / 'model.pt'}; on {len(run.split.test)} test frames: {errors}")


@app.command
def evaluate(
    model: str,
    data: Path,
    *,
    split: Path | None = None,
    json: Path | None = None,
    energy_key: str = "energy",
    forces_key: str = "forces",
    energy_unit: str | None = None,
    length_unit: str | None = None,
    device: str = "auto",
) -> None:
    """Errors of a model on labelled structures.

    Parameters
    ----------
    model
        A model file, or the name of a shipped model.
    data
        Labelled structures.
    split
        A split.npz of a training run: only its test frames are used.
    json
        Where to write the numbers.
    """
    from schnet_calc import SchNetCalculator
    from schnet_calc.data import Split, read_frames
    from schnet_calc.tasks.evaluate import evaluate as run

    frames = read_frames(
        data,
        energy_key=energy_key,
        forces_key=forces_key,
        energy_unit=energy_unit,
        length_unit=length_unit,
    )
    if split is not None:
        frames = frames.select(Split.load(split).test)
    with progress_bar() as bar:
        stages = Stages(bar)
        result = run(
            SchNetCalculator(model, device=device),
            frames,
            progress=lambda done: stages("frames", done, len(frames)),
        )
    print_table(
        f"{model} on {len(frames)} frames of {data.name}",
        {"model": result.errors, "mean predictor": result.mean_predictor},
    )
    write_json(json, result.to_dict())


@app.command
def export(checkpoint: Path, model: Path) -> None:
    """Write the weights of a training run as a model file.

    Parameters
    ----------
    checkpoint
        A checkpoint, or the folder of a run: its best one.
    model
        The file to write.
    """
    from schnet_calc.training import export_model

    export_model(checkpoint, model)
    out.print(f"model in {model}")


@app.command
def relax(
    structure: Path,
    *,
    model: str,
    fmax: float = 1e-3,
    steps: int = 1000,
    optimizer: str = "BFGS",
    dtype: str = "float64",
    device: str = "auto",
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
    output
        The relaxed structure, in any format that ASE writes; figures get its name.
    """
    import ase.io

    from schnet_calc import SchNetCalculator, plots
    from schnet_calc.tasks.relax import relax as run

    atoms = ase.io.read(structure)
    result = run(atoms, SchNetCalculator(model, device, dtype), fmax, steps, optimizer)
    ase.io.write(output, result.atoms)
    figure, axes = plots.new_figure(5.5, 3.6)
    plots.draw_relaxation(axes, result.energies)
    plots.save_figure(figure, output.with_suffix(""))
    print_table(
        f"relaxation of {structure.name}",
        {
            "converged": result.converged,
            "steps": result.steps,
            "energy": f"{result.energies[-1]:.6f} eV",
            "largest force": f"{result.fmax:.2e} eV/Å",
            "structure": output,
        },
    )
    write_json(json, result.to_dict())
    if not result.converged:
        raise RuntimeError(f"not converged after {steps} steps: largest force {result.fmax:.2e} eV/Å")


@app.command
def modes(
    structure: Path,
    *,
    model: str,
    device: str = "auto",
    output: Output = Path("modes"),
    json: Path | None = None,
) -> None:
    """Harmonic frequencies of a relaxed molecule.

    Parameters
    ----------
    structure
        Any file that ASE reads.
    model
        A model file, or the name of a shipped model.
    output
        Name of the figures, without ending.
    json
        Where to write the numbers.
    """
    import ase.io

    from schnet_calc import SchNetCalculator, plots
    from schnet_calc.tasks.modes import normal_modes

    result = normal_modes(ase.io.read(structure), SchNetCalculator(model, device))
    if result.fmax > 1e-2:
        err.print(f"[yellow]warning: the largest force is {result.fmax:.1e} eV/Å; relax first")
    figure, axes = plots.new_figure(6.5, 3.4)
    plots.draw_spectrum(axes, result.frequencies)
    plots.save_figure(figure, output)
    print_table(
        f"normal modes of {structure.name}",
        {
            "frequencies": ", ".join(f"{f:.1f}" for f in result.frequencies) + " cm⁻¹",
            "imaginary": result.n_imaginary,
            "zero-point energy": f"{result.zero_point_energy:.6f} eV",
            "asymmetry of the Hessian": f"{result.asymmetry:.1e} eV/Å²",
            "sum rule": f"{result.sum_rule:.1e} eV/Å²",
        },
    )
    write_json(json, result.to_dict())


@app.command
def md(
    structure: Path,
    *,
    model: str,
    temperature: float,
    time: float,
    timestep: float = 0.5,
    thermostat: str = "langevin",
    time_constant: float = 100.0,
    interval: int = 10,
    seed: int = 0,
    resume: bool = False,
    device: str = "auto",
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
        K.
    time
        ps in all.
    timestep
        fs.
    thermostat
        none (NVE), langevin, bussi or nose-hoover.
    time_constant
        fs, of the thermostat.
    interval
        Steps between frames.
    resume
        Go on with the run in the folder.
    output
        Folder for md.traj, md.csv and the figures.
    """
    import ase.io

    from schnet_calc import SchNetCalculator, plots
    from schnet_calc.tasks.md import MDSettings, run_md

    settings = MDSettings(temperature, time, timestep, thermostat, time_constant, interval, seed)
    atoms = ase.io.read(structure)
    speed = Speed(timestep)
    with progress_bar() as bar:
        stages = Stages(bar)
        run = run_md(
            atoms,
            SchNetCalculator(model, device, dtype),
            settings,
            output,
            resume=resume,
            progress=lambda step, _: stages("MD", step, settings.n_steps, speed(step)),
        )
    table = run.table()
    figure, axes = plots.new_figure(9, 3.2, 2)
    plots.draw_energy_and_temperature(axes, table)
    plots.save_figure(figure, output / "md")
    numbers = {
        "time_ps": float(table["time_ps"][-1]),
        "mean_temperature_k": float(table["temperature_k"].mean()),
        "total_energy_change_ev": float(table["total_ev"][-1] - table["total_ev"][0]),
        "speed": speed(settings.n_steps),
    }
    print_table(f"MD of {structure.name}", {**numbers, "trajectory": run.trajectory})
    write_json(json, numbers)


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


def main() -> None:
    """Entry point: expected errors become one line and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app(sys.argv[1:])
    except EXPECTED as error:
        err.print(f"[red]error:[/red] {error}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("interrupted; what was written is complete, --resume goes on where there is one")
        sys.exit(130)


if __name__ == "__main__":
    main()
