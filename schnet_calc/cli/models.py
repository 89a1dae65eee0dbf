"""Commands about models: what they know, training, errors, export."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from schnet_calc.cli.app import Output, app, open_model
from schnet_calc.cli.console import Stages, out, print_table, progress_bar, write_json
from schnet_calc.cli.data import Labels


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

    from schnet_calc.modelfile import load_potential

    potential = load_potential(model)
    data = potential.metadata.raw
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
    if "domain" in training:
        numbers = training["domain"]["coordination"]
        rows["neighbours in training"] = ", ".join(
            f"{symbol} {low:.1f} to {high:.1f}" for symbol, (low, high) in numbers.items()
        )
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
    architecture: str | None = None
    """SchNet or DTNN."""
    n_features: int | None = None
    """F"""
    n_factors: int | None = None
    """Width of a DTNN's tensor layer."""
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
    members: int = 1,
    bootstrap: bool = False,
    json: Path | None = None,
    options: Options | None = None,
) -> None:
    """Train a network; the folder gets checkpoints, metrics.csv, a learning curve and model.pt.

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
    members
        Of a committee: each has a folder member_K, and a seed of its own.
    bootstrap
        Draw the training frames with replacement, for every member others.
    json
        Where to write the errors on the test frames.
    """
    from schnet_calc import plots
    from schnet_calc.training import Run, RunConfig
    from schnet_calc.training.train import finish

    given = RunConfig.from_toml(config) if config else RunConfig()
    changes = {k: v for k, v in asdict(options or Options()).items() if v is not None}
    if data is not None:
        changes["file"] = data
    settings = given.changed(changes)
    if not settings.data.file:
        raise ValueError("no data: name a config file or give --data FILE")
    if bootstrap:
        settings = settings.changed({"bootstrap": True})
    if members != 1:
        _train_committee(settings, output, members, resume, json)
        return
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


def _train_committee(settings: Any, output: Path, members: int, resume: bool, json: Path | None) -> None:
    from schnet_calc.data import Split
    from schnet_calc.training.committee import assess, train_members
    from schnet_calc.training.setup import read_data

    command = "schnet-calc " + " ".join(sys.argv[1:])
    with progress_bar() as bar:
        stages = Stages(bar)

        def report(member: int, run: Any, errors: Any) -> None:
            if errors is not None:
                bar.console.print(f"member {member}, step {run.step}: {errors}")
            stages(f"member {member}", run.step, settings.training.steps)

        paths = train_members(settings, output, members, resume=resume, report=report, command=command)
    if not paths:
        return
    rows: dict[str, Any] = {"models": " ".join(str(p) for p in paths)}
    numbers: dict[str, Any] = {"models": [str(p) for p in paths]}
    frames = read_data(settings)
    test = Split.load(paths[0].parent / "split.npz").test
    if len(test):
        found = assess(paths, frames.select(test), settings.training.device)
        numbers |= found.to_dict()
        rows |= {
            f"{len(test)} test frames": found.mean.errors,
            "force MAE of members": ", ".join(f"{1e3 * m:.1f}" for m in found.members) + " meV/Å",
            "disagreement": f"{1e3 * found.spread:.1f} meV/Å, "
            f"error {1e3 * found.mean.errors.force_rmse_ev_ang:.1f} meV/Å (RMS)",
            "ranks of both": f"correlate by {found.correlation:.2f}",
        }
    print_table("committee", rows)
    write_json(json, numbers)


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
    from schnet_calc import plots
    from schnet_calc.data import Split, read_frames
    from schnet_calc.training.evaluate import evaluate as run

    frames = read_frames(data, **asdict(labels or Labels()))
    if split is not None:
        chosen = Split.load(split)
        chosen.check(len(frames), split)
        frames = frames.select(chosen.test)
    with progress_bar() as bar:
        stages = Stages(bar)
        result = run(
            open_model(model, device, on_doubt="ignore"),
            frames,
            progress=lambda done: stages("frames", done, len(frames)),
        )
    rows: dict[str, Any] = {"model": result.errors, "mean predictor": result.mean_predictor}
    numbers = result.to_dict()
    if "stress_mae_gpa" in numbers:
        rows["stress"] = (
            f"MAE {numbers['stress_mae_gpa']:.3f} GPa (of zero: {numbers['stress_mae_of_zero_gpa']:.3f})"
        )
    print_table(f"{model} on {len(frames)} frames of {data.name}", rows)
    figure, axes = plots.new_figure(8, 3.2, 2)
    plots.draw_errors(axes, result.energy_differences, result.force_differences)
    plots.save_figure(figure, output)
    write_json(json, numbers)


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
