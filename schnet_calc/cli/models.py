"""Commands about models: what they know, training, errors, export."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from schnet_calc.cli.app import Output, app
from schnet_calc.cli.data import Labels
from schnet_calc.console import Stages, out, print_table, progress_bar, write_json


@app.command
def info(model: str, *, json: Path | None = None) -> None:
    """Show what a model file says about itself.

    Parameters
    ----------
    model
        A model file, or the name of a shipped model.
    json
        Where to write the metadata.
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
    write_json(json, data)


@Parameter(name="*")
@dataclass
class Options:
    """What the command line may say in place of the configuration file."""

    n_train: int | None = None
    """Frames to train on."""
    n_validation: int | None = None
    """Frames to validate with."""
    n_features: int | None = None
    """F"""
    n_interactions: int | None = None
    """T"""
    cutoff: float | None = None
    """Å"""
    steps: int | None = None
    """Steps in all."""
    batch_size: int | None = None
    """Frames per step."""
    rho: float | None = None
    """Weight of the energy loss; 0 trains on forces alone."""
    learning_rate: float | None = None
    """Highest learning rate."""
    optimizer: str | None = None
    """adam, amsgrad or soap."""
    seed: int | None = None
    """Of the first weights and the order of the frames."""
    dtype: str | None = None
    """float32 or float64."""
    device: str | None = None
    """auto, cpu or cuda[:N]."""
    threads: int | None = None
    """CPU threads."""


@app.command
def train(
    config: Path | None = None,
    *,
    data: str | None = None,
    output: Output = Path("runs/model"),
    resume: bool = False,
    json: Path | None = None,
    options: Options | None = None,
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
    json
        Where to write the errors on the test frames.
    """
    from schnet_calc import plots
    from schnet_calc.tasks.train import finish
    from schnet_calc.training import Run, RunConfig

    given = RunConfig.from_toml(config) if config else RunConfig()
    changes = {k: v for k, v in asdict(options or Options()).items() if v is not None}
    if data is not None:
        changes["file"] = data
    settings = given.changed(changes)
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
            stages("training", run.step, settings.training.steps, note)

        run.run(report if run.world.first else None)
        if not run.world.first:
            return
        test = finish(
            run,
            command="schnet-calc " + " ".join(sys.argv[1:]),
            progress=lambda done, total: stages("test frames", done, total),
        )
    figure, axes = plots.new_figure(5.5, 3.6)
    plots.draw_learning_curve(axes, output / "metrics.csv")
    plots.save_figure(figure, output / "learning_curve")
    rows = {"model": output / "model.pt", "steps": run.step, "hours": f"{run.seconds / 3600:.2f}"}
    if test is not None:
        rows[f"{test.n_frames} test frames"] = test.errors
        rows["mean predictor"] = test.mean_predictor
    print_table("training", rows)
    write_json(json, {"steps": run.step, "test": test.to_dict() if test else None})


@app.command
def evaluate(
    model: str,
    data: Path,
    *,
    split: Path | None = None,
    output: Output = Path("evaluation"),
    json: Path | None = None,
    labels: Labels | None = None,
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
    output
        Name of the figures, without ending.
    json
        Where to write the numbers.
    """
    from schnet_calc import SchNetCalculator, plots
    from schnet_calc.data import Split, read_frames
    from schnet_calc.tasks.evaluate import evaluate as run

    frames = read_frames(data, **asdict(labels or Labels()))
    if split is not None:
        chosen = Split.load(split)
        chosen.check(len(frames), split)
        frames = frames.select(chosen.test)
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
    figure, axes = plots.new_figure(8, 3.2, 2)
    plots.draw_errors(axes, result.energy_differences, result.force_differences)
    plots.save_figure(figure, output)
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
