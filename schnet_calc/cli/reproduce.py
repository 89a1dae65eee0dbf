"""Commands that repeat the paper's tables."""

import os
import sys
from pathlib import Path
from typing import Any

from cyclopts import App
from rich.table import Table

from schnet_calc.cli.app import Output, app
from schnet_calc.console import Stages, out, progress_bar, write_json

reproduce = App(name="reproduce", help="Repeat the paper's tables.")
app.command(reproduce)


@reproduce.command
def md17(
    *molecule: str,
    data: Path | None = None,
    configs: Path = Path("examples/md17"),
    n_train: int = 1000,
    steps: int | None = None,
    evaluate_only: bool = False,
    physics: float = 0.0,
    device: str = "auto",
    output: Output = Path("runs/md17"),
    json: Path | None = None,
) -> None:
    """Tables 5.3 and 5.4 at N = 1,000: train, test on the other frames, compare with the paper.

    Parameters
    ----------
    molecule
        Names such as ethanol; all eight by default.
    data
        Folder with md17_NAME.npz, the original files too; $SCHNET_CALC_DATA/md17 by default.
    configs
        Folder with NAME.toml or default.toml.
    n_train
        Frames to train on.
    steps
        In place of the configuration's.
    evaluate_only
        Test the shipped models instead of training.
    physics
        ps of dynamics at 300 K to check every model with, after relaxation and frequencies.
    output
        Folder with a run per molecule; runs that are there are continued.
    json
        Where to write the numbers.
    """
    from schnet_calc import plots
    from schnet_calc.tasks import md17 as study
    from schnet_calc.tasks.stability import check_stability

    folder = data or Path(os.environ.get("SCHNET_CALC_DATA", "../shared/data")) / "md17"
    names = study.check_names(molecule)
    rows: list[study.Row] = []
    checks: dict[str, Any] = {}
    with progress_bar() as bar:
        stages = Stages(bar)
        for name in names:
            config = study.configuration(configs, folder, name, n_train)
            if steps is not None:
                config = config.changed({"steps": steps})
            model: str | Path = name if evaluate_only else output / name / "model.pt"
            if evaluate_only:
                tested = study.evaluate_molecule(name, config, device)
            else:
                command = "schnet-calc " + " ".join(sys.argv[1:])
                total = config.training.steps

                def show(run: Any, _: Any, name: str = name, total: int = total) -> None:
                    stages(name, run.step, total)

                tested = study.train_molecule(config, output / name, command, show)
            rows.append(study.Row(name, tested, study.PAPER[name]))
            if physics:

                def moved(done: int, total: int, name: str = name) -> None:
                    stages(f"{name}, 300 K", done, total)

                start = study.first_frame(config)
                place = output / name / "md_300K"
                checks[name] = check_stability(
                    start, model, place, time=physics, device=device, progress=moved
                )
    if not evaluate_only:
        figure, axes = plots.new_figure(6.5, 4.2)
        plots.draw_learning_curves(axes, {name: output / name / "metrics.csv" for name in names})
        plots.save_figure(figure, output / "learning_curves")
    _print(rows, checks)
    values = {r.molecule: r.to_dict() for r in rows}
    for name, check in checks.items():
        values[name]["physics"] = check.to_dict()
    write_json(json, values)


def _print(rows: list[Any], checks: dict[str, Any]) -> None:
    title = "MD17, mean absolute errors on unseen frames"
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in ("", "energy, kcal/mol", "paper", "force, kcal/mol/Å", "paper", "frames"):
        table.add_column(heading, justify="right" if heading else "left")
    if checks:
        table.add_column("physics")
    for row in rows:
        marks = ["" if reached else " !" for reached in row.reached]
        cells = [row.molecule, f"{row.energy:.3f}{marks[0]}", f"{row.paper.energy:.2f}"]
        cells += [f"{row.force:.3f}{marks[1]}", f"{row.paper.force:.2f}", str(row.evaluation.n_frames)]
        table.add_row(*cells, *([_verdict(checks[row.molecule])] if checks else []))
    out.print(table)
    reached = sum(sum(row.reached) for row in rows)
    out.print(f"{reached} of {2 * len(rows)} cells at or below the paper; ! is above it")


def _verdict(check: Any) -> str:
    word = "stable" if check.passed else "fails"
    return (
        f"{word}: {check.n_imaginary} imaginary, bonds up to {check.longest_stretch:.2f} times "
        f"their length in {check.time:g} ps"
    )
