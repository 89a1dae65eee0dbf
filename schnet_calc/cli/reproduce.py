"""Commands that repeat the paper's tables."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cyclopts import App
from rich.table import Table

from schnet_calc.cli.app import Output, app
from schnet_calc.cli.console import Stages, out, progress_bar, write_json
from schnet_calc.cli.reproduce_tables import print_rows
from schnet_calc.studies.configs import config_folder

reproduce = App(name="reproduce", help="Repeat the paper's tables.")
app.command(reproduce)


@reproduce.command
def md17(
    *molecule: str,
    data: Path | None = None,
    configs: Path | None = None,
    n_train: int = 1000,
    seeds: int = 1,
    steps: int | None = None,
    dense_steps: int | None = None,
    evaluate_only: bool = False,
    physics: float = 0.0,
    download: bool = False,
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
        Folder with NAME.toml or default.toml; those that come with the package by default.
    n_train
        Frames to train on.
    seeds
        Runs of each molecule, with another split and other first weights.
    steps
        In place of the configuration's.
    dense_steps
        Of the dense network that is trained for comparison; 0 for none. 6000, or none for shipped models.
    evaluate_only
        Test the shipped models instead of training.
    physics
        ps of dynamics at 300 K to check every model with, after relaxation and frequencies.
    download
        Fetch the original files into the folder of the data, where they aren't there (the extra fetch).
    output
        Folder with a run per molecule; runs that are there are continued.
    json
        Where to write the numbers.
    """
    from schnet_calc import plots
    from schnet_calc.data.fetch import fetch_md17
    from schnet_calc.studies import md17 as study
    from schnet_calc.studies.stability import Stability, check_stability

    folder = data or _data_folder()
    names = study.check_names(molecule)
    if seeds < 1 or (evaluate_only and seeds > 1):
        raise ValueError(f"{seeds} seeds: one or more, and one only for shipped models")
    if dense_steps is None:
        dense_steps = 0 if evaluate_only else 6000
    rows: list[study.Row] = []
    checks: dict[str, Stability] = {}
    curves: dict[str, Path] = {}
    with progress_bar() as bar:
        stages = Stages(bar)
        for name, seed in ((n, s) for n in names for s in range(seeds)):
            if download:
                fetch_md17(name, folder)
            config = study.configuration(configs or config_folder("md17"), folder, name, n_train, seed)
            if steps is not None:
                config = config.changed({"steps": steps})
            place = output / (name if seed == 0 else f"{name}_seed{seed}")
            label = place.name
            if evaluate_only:
                model: str | Path = name
                tested = study.evaluate_molecule(name, config, device)
            else:
                model = place / "model.pt"
                tested = study.train_molecule(config, place, _command(), _steps_of(stages, label))
                curves[label] = place / "metrics.csv"
            dense = study.dense_baseline(config, place, dense_steps) if dense_steps else None
            rows.append(study.Row(name, tested, study.PAPER[name], seed, dense))
            if physics:
                start = study.first_frame(config)
                checks[rows[-1].name] = check_stability(
                    start,
                    model,
                    place / "md_300K",
                    time=physics,
                    device=device,
                    progress=_counts(stages, f"{label}, 300 K"),
                )
    if curves:
        figure, axes = plots.new_figure(6.5, 4.2)
        plots.draw_learning_curves(axes, curves)
        plots.save_figure(figure, output / "learning_curves")
    print_rows(rows, checks)
    values = {r.name: r.to_dict() for r in rows}
    for key, check in checks.items():
        values[key]["physics"] = check.to_dict()
    write_json(json, values)


@reproduce.command
def ablation(
    molecule: str = "ethanol",
    *,
    data: Path | None = None,
    configs: Path | None = None,
    n_train: int = 1000,
    steps: int | None = None,
    output: Output = Path("runs/ablation"),
    json: Path | None = None,
) -> None:
    """Energies and forces against energies alone, and the weight rho: Tables 5.3 and 5.6 in small.

    Parameters
    ----------
    molecule
        A name of Table 5.3.
    data
        Folder with md17_NAME.npz; $SCHNET_CALC_DATA/md17 by default.
    configs
        Folder with NAME.toml or default.toml; those that come with the package by default.
    n_train
        Frames to train on.
    steps
        In place of the configuration's.
    output
        Folder with a run per variant and the figure; runs that are there are continued.
    json
        Where to write the numbers.
    """
    from schnet_calc import plots
    from schnet_calc.studies.ablation import run_ablation
    from schnet_calc.studies.md17 import check_names, configuration

    (name,) = check_names([molecule])
    config = configuration(configs or config_folder("md17"), data or _data_folder(), name, n_train)
    if steps is not None:
        config = config.changed({"steps": steps})
    with progress_bar() as bar:
        found = run_ablation(config, output, _command(), Stages(bar))
    table = Table(title=f"{name}, mean absolute errors", title_justify="left", title_style="bold")
    for heading in ("", "energy, kcal/mol", "force, kcal/mol/Å"):
        table.add_column(heading, justify="right" if heading else "left")
    for variant in found:
        errors = variant.errors.to_dict()
        energy, force = errors["energy_mae_kcal_mol"], errors["force_mae_kcal_mol_ang"]
        table.add_row(variant.name, f"{energy:.3f}", f"{force:.3f}")
    out.print(table)
    figure, axes = plots.new_figure(8, 3.4, 2)
    plots.draw_ablation(axes, found)
    plots.save_figure(figure, output / "ablation")
    write_json(json, {v.name: v.to_dict() for v in found})


def _data_folder() -> Path:
    return Path(os.environ.get("SCHNET_CALC_DATA", "../shared/data")) / "md17"


def _command() -> str:
    return "schnet-calc " + " ".join(sys.argv[1:])


def _steps_of(stages: Stages, label: str) -> Callable[[Any, Any], None]:
    """Progress of a training run."""
    return lambda run, _: stages(label, run.step, run.config.training.steps)


def _counts(stages: Stages, label: str) -> Callable[[int, int], None]:
    return lambda done, total: stages(label, done, total)


def _table_command(name: str, number: str, what: str) -> None:
    """Register ``schnet-calc reproduce NAME`` for a table of the thesis."""

    def command(
        *,
        data: Path | None = None,
        evaluate_only: bool = True,
        output: Output = Path(f"runs/{name}"),
        json: Path | None = None,
    ) -> None:
        from schnet_calc.studies.tables import evaluated_rows

        with progress_bar() as bar:
            stages = Stages(bar)
            folder = None if evaluate_only else output
            rows = evaluated_rows(name, data, folder, lambda row, done, total: stages(row, done, total))
        if not rows:
            raise ValueError(f"there is no shipped model for {name}: train one with --no-evaluate-only")
        table = Table(title=f"Table {number} of the thesis", title_justify="left", title_style="bold")
        for heading in ("row", "error (MAE)", "ours", "thesis", "test frames"):
            table.add_column(heading)
        for row in rows:
            for key, value in row.found.items():
                thesis = row.row.published[key]
                shown = f"{value:.3f}{'' if value <= thesis else ' !'}"
                table.add_row(row.row.what, key, shown, f"{thesis:.3f}", str(row.evaluation.n_frames))
        out.print(table)
        out.print("! is above the thesis" + (f"; {rows[0].row.note}" if rows[0].row.note else ""))
        write_json(json, {"rows": [row.to_dict() for row in rows]})

    command.__doc__ = f"""Table {number}: {what}.

    Parameters
    ----------
    data
        The data, where they are not where the configuration says.
    evaluate_only
        Test the shipped models; otherwise train, or go on with, models of the same configuration.
    output
        Folder of the trainings.
    json
        Where to write the numbers.
    """
    reproduce.command(command, name=name)


_table_command("qm9", "4.2", "molecules of QM9, U0")
_table_command("materials", "4.3", "formation energies of crystals")
_table_command("c20", "5.6", "energies and forces of C20")
