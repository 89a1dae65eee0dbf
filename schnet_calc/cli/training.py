"""The command that trains."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from schnet_calc.cli.console import (
    Stages,
    clock,
    command_line,
    err,
    listed,
    print_table,
    stages_shown,
    warn,
    write_json,
)
from schnet_calc.cli.options import Flat, OutputOptions, OutputPath, check_data, check_files
from schnet_calc.cli.remembered import remember, remembered
from schnet_calc.cli.training_options import Options
from schnet_calc.cli.words import told
from schnet_calc.training.config import RunConfig

if TYPE_CHECKING:
    from schnet_calc.training import Evaluation, Run


@dataclass(frozen=True)
class Members:
    """Several trainings at once."""

    members: int = 1
    """Of a committee: each has a folder member_K, and a seed of its own."""
    bootstrap: bool = False
    """Draw the training frames with replacement, for every member others."""


@dataclass(frozen=True)
class TrainOutput(OutputOptions):
    """What ``train`` writes."""

    output: OutputPath = Path("runs/model")
    """Folder of the run."""
    json: Path | None = None
    """Where to write the errors on the test frames."""


def train(
    config: Path | None = None,
    *,
    data: str | None = None,
    resume: bool = False,
    committee: Annotated[Members, Flat] = Members(),
    strict: bool = False,
    options: Options | None = None,
    out: TrainOutput = TrainOutput(),
) -> None:
    """Train a network; the folder gets checkpoints, metrics.csv, a learning curve and model.pt.

    Parameters
    ----------
    config
        A TOML file with [data], [model] and [training]; options given here come before it.
    data
        Labelled structures: MD17/rMD17 npz, or anything ASE reads.
    resume
        Go on with the run in the folder, with the settings that it has where none are given.
    strict
        Refuse data whose labels don't fit, instead of warning.
    """
    check_files(config)
    given = RunConfig.from_toml(config) if config else remembered(out.output) if resume else None
    given = given or RunConfig()
    changes = {} if options is None else {k: v for k, v in vars(options).items() if v is not None}
    if data is not None:
        changes["file"] = data
    settings = given.changed(changes)
    if not settings.data.file:
        raise ValueError("no data: name a config file or give --data FILE")
    check_data(Path(settings.data.file))
    if committee.bootstrap:
        settings = settings.changed({"bootstrap": True})
    remember(settings, out.output)
    if committee.members != 1:
        _train_committee(settings, committee.members, resume, out)
        return
    from schnet_calc.training import Run, finish

    with stages_shown() as stages:
        run = Run(settings, out.output, resume=resume)
        _check_labels(run, strict)
        err.print(f"training on {len(run.data.train)} frames, validating on {len(run.data.validation)}")
        run.run(partial(_report, stages, "training") if run.world.first else None)
        if not run.world.first:
            return
        test = finish(run, command_line(), lambda done, total: stages("test frames", done, total))
    _show(run, test, out)


def _report(stages: Stages, name: str, run: "Run", errors: Any) -> None:
    """Tell a step of a training, and the errors of a validation."""
    if errors is not None:
        whose = "" if name == "training" else f"{name}, "
        err.print(f"{whose}step {run.step}: {errors}", soft_wrap=True)
    note = f"loss {run.loss:.3g}" if run.loss else ""  # none is left just after a validation
    stages(name, run.step, run.config.training.steps, note)


def _show(run: "Run", test: "Evaluation | None", out: TrainOutput) -> None:
    """Draw the learning curve and print the errors on the test frames."""
    from schnet_calc import plots

    output = out.output
    figures = plots.draw_to(output / "learning_curve", plots.draw_learning_curve, output / "metrics.csv")
    files = listed(output / "model.pt", output / "metrics.csv", *figures)
    rows = {"steps": run.step, "time of the steps": clock(run.seconds)}
    if test is not None:
        rows[f"{test.n_frames} test frames"] = test.errors
        rows["composition alone"] = test.mean_predictor
        if test.loses:
            rows["no better than that"] = ", ".join(test.loses)
    print_table("training", rows | {"files": files})
    write_json(out.json, {"steps": run.step, "test": test.to_dict() if test else None})


def _check_labels(run: "Run", strict: bool) -> None:
    """Warn of labels that don't fit, or refuse them; on the first of several processes."""
    from schnet_calc.data.checks import label_warnings

    if not run.world.first or run.step:
        return
    found = label_warnings(run.frames)
    for text in found:
        warn(told(text))
    if found and strict:
        raise ValueError(
            f"{run.config.data.file}: {len(found)} doubts about the labels, and --strict was given"
        )


def _train_committee(settings: RunConfig, members: int, resume: bool, out: TrainOutput) -> None:
    from schnet_calc.data import Split
    from schnet_calc.training.committee import assess, train_members
    from schnet_calc.training.setup import read_data

    command = command_line()
    with stages_shown() as stages:
        how: dict[str, Any] = {"resume": resume, "command": command}
        how["report"] = lambda k, *now: _report(stages, f"member {k + 1} of {members}", *now)
        paths = train_members(settings, out.output, members, **how)
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
    write_json(out.json, numbers)
