"""Commands about models: what they know, training, errors, export."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from schnet_calc.cli import console
from schnet_calc.cli.console import print_table, stages_shown, tell_doubts, write_json
from schnet_calc.cli.data import LabelOptions
from schnet_calc.cli.options import (
    Flat,
    FrameOptions,
    ModelName,
    OutputOptions,
    OutputPath,
    check_data,
    check_files,
    check_model,
)
from schnet_calc.cli.remembered import remembered_labels
from schnet_calc.data.labels import Labels
from schnet_calc.modelfile.finding import find_model, model_sources


def info(model: ModelName, *, card: bool = False, json: Path | None = None) -> None:
    """A page about a model: what it knows and how well, what not, its data, outputs and speed.

    Parameters
    ----------
    card
        Print the Markdown table of a model's card instead.
    json
        Where to write all that the file says of itself.
    """
    from schnet_calc.guard.description import described
    from schnet_calc.modelfile.card import card as rows_of, markdown_card
    from schnet_calc.modelfile.opening import open_model_file

    for source in check_model(model):
        found = open_model_file(source)
        if card:
            console.out.print(markdown_card(found.metadata), soft_wrap=True, markup=False)
        else:
            print_table(
                Path(source).stem,
                {"file": found.path, **rows_of(found.metadata), **described(found.metadata.training)},
            )
        write_json(json, found.metadata.raw)


def _labels_of_training(model: str, data: Path) -> Labels | None:
    """Keys and units that a model was trained with, if it was on this file; said aloud."""
    found = remembered_labels(find_model(model_sources(model)[0]), data)
    if found is not None:
        console.err.print("keys and units of the labels are those of the model's training")
    return found


@dataclass(frozen=True)
class EvaluationOutput(OutputOptions):
    """What ``evaluate`` writes."""

    output: OutputPath = Path("evaluation")
    """Name of the figures, without ending."""


def evaluate(
    model: ModelName,
    data: Path,
    *,
    split: Path | None = None,
    labels: LabelOptions | None = None,
    evaluation: FrameOptions = FrameOptions(),
    out: EvaluationOutput = EvaluationOutput(),
) -> None:
    """Errors of a model on labelled structures.

    Parameters
    ----------
    data
        Labelled structures.
    split
        A split.npz of a training run: only its test frames are used.
    """
    check_model(model)
    check_data(data)
    check_files(split)
    from schnet_calc.data import Split
    from schnet_calc.data.readers import read_frames

    with stages_shown() as stages:
        frames = read_frames(data, labels or _labels_of_training(model, data))
        if split is not None:
            frames = frames.select(Split.load(split, len(frames)).test)
        from schnet_calc import plots
        from schnet_calc.training.evaluation import evaluate as run

        calculator = evaluation.open(model)
        result = run(calculator, frames, progress=lambda done: stages("frames", done, len(frames)))
    rows: dict[str, Any] = {"model": result.errors, "composition alone": result.mean_predictor}
    if result.loses:
        rows["no better than that"] = ", ".join(result.loses)
    numbers = result.to_dict()
    if "stress_mae_gpa" in numbers:
        rows["stress"] = (
            f"MAE {numbers['stress_mae_gpa']:.3f} GPa (of zero: {numbers['stress_mae_of_zero_gpa']:.3f})"
        )
    for group in result.by_grade:
        upper = f"to {group.high:g}" if math.isfinite(group.high) else "and more"
        rows[f"grade {group.low:g} {upper}"] = (
            f"{group.n_frames} frames, forces {group.force_rmse:.4f} eV/Å (RMSE)"
        )
    count = len(result.differences)
    figure, axes = plots.new_figure(4 * count, 3.2, count, squeeze=False)
    plots.draw_errors(axes[0], result.differences)
    rows["files"] = console.listed(*plots.save_figure(figure, out.output))
    print_table(f"{model} on {len(frames)} frames of {data.name}", rows)
    write_json(out.json, numbers)
    tell_doubts(calculator)


def export(
    source: str,
    model: Annotated[Path, Parameter(name=["--model", "--output", "-o"])],
    *,
    metatomic: bool = False,
    json: Path | None = None,
) -> None:
    """Write the weights of a training run as a model file, or a model file as metatomic's.

    Parameters
    ----------
    source
        A checkpoint, or the folder of a run: its best one. With --metatomic a model file or the name of a
        shipped model.
    model
        The file to write.
    metatomic
        Write an AtomisticModel for LAMMPS, i-PI, eOn and others with metatomic.
    json
        Where to write what the file says of itself.
    """
    if metatomic:
        check_model(source)
        from schnet_calc.modelfile import load_potential

        potential = load_potential(source)
        from schnet_calc.metatomic import export_metatomic

        export_metatomic(potential, model)
        console.out.print(f"metatomic's file in {model}")
        write_json(json, potential.metadata.raw)
        return
    check_files(Path(source))
    from schnet_calc.modelfile import load_potential
    from schnet_calc.training import export_model

    export_model(source, model)
    console.out.print(f"model in {model}")
    write_json(json, load_potential(model).metadata.raw)


@dataclass(frozen=True)
class State:
    """Of the electrons of all structures in the data."""

    charge: int = 0
    """e; of all structures in the data."""
    multiplicity: int = 1
    """2S + 1, of all structures in the data."""


def domain(
    model: ModelName,
    data: Path,
    *,
    output: OutputPath,
    split: Path | None = None,
    state: Annotated[State, Flat] = State(),
    labels: LabelOptions | None = None,
    json: Path | None = None,
) -> None:
    """Write a model file anew with what its training data hold, for the guard against extrapolation.

    Grades of atoms from the network's last hidden layer, shortest distances, numbers of neighbours, compositions.
    The weights stay what they are.

    Parameters
    ----------
    data
        The labelled structures that it was trained on, or from; or the TOML file of its training, which names them
        and their split.
    output
        The file to write.
    split
        A split.npz of the training run: its training frames are looked at, and its validation frames for the limits
        of grades and the error bars of energies. Without it, all frames are taken for training frames.
    json
        Where to write what the file says of them.
    """
    check_model(model)
    check_data(data)
    check_files(split)
    from schnet_calc.training.knowledge import add_knowledge, frames_of_training

    with stages_shown() as stages:
        train, unseen = frames_of_training(data, split, labels)
        found = add_knowledge(
            model,
            output,
            train,
            unseen,
            state=(state.charge, state.multiplicity),
            progress=lambda done: stages("frames", done, len(train)),
        )
    formulas = "many compositions" if found.formulas is None else ", ".join(sorted(found.formulas))
    console.out.print(f"{output} knows {formulas}")
    write_json(json, found.to_dict())
