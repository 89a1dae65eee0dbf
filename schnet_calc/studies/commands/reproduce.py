"""Commands that repeat the paper's tables."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App

from schnet_calc.cli.console import Stages, command_line, out as console, progress_bar, write_json
from schnet_calc.cli.options import Flat, JsonPath, OutputOptions, OutputPath, Several
from schnet_calc.studies.commands.tables import print_columns, print_rows

LISTED = (
    "in_small:learning_curve",
    "in_small:c20_selection",
    "in_small:isomers",
    "in_small:insight",
    "thesis_tables:qm9",
    "thesis_tables:materials",
    "thesis_tables:c20",
)
"""More commands: module here, and name."""

reproduce = App(name="reproduce", help="Repeat the paper's tables.")
for place in LISTED:
    reproduce.command(f"schnet_calc.studies.commands.{place}")


@reproduce.default
def everything(
    *,
    page: bool = False,
    data: Path | None = None,
    trained: Path = Path("runs"),
    stages: Annotated[list[str] | None, Several] = None,
    output: OutputPath = Path("reproduction"),
) -> None:
    """Repeat the paper's tables: one of the commands below, or a page of all of them.

    Parameters
    ----------
    page
        Write a page with every table and figure of the paper and the thesis, theirs and ours side by side.
    data
        Folder of the data, with md17; $SCHNET_CALC_DATA by default.
    trained
        Folder with the runs of reproduce learning-curve and c20-selection.
    stages
        Only some: inside, isomers, md17, materials, c20_errors, c20, qm9, qm9_inside.
    output
        Folder of the page; what is there is not computed again.
    """
    if not page:
        reproduce.help_print()
        return
    from schnet_calc.studies.reproduction import write_reproduction
    from schnet_calc.studies.reproduction.stages import STAGES

    with progress_bar() as bar:
        path = write_reproduction(
            output,
            command_line(),
            data=data,
            trained=trained,
            stages=stages or tuple(STAGES),
            progress=Stages(bar),
        )
    console.print(f"page in {path}")


@dataclass(frozen=True)
class MD17Settings:
    """What is trained or tested on MD17."""

    data: Path | None = None
    """Folder with md17_NAME.npz, the original files too; $SCHNET_CALC_DATA/md17 by default."""
    configs: Path | None = None
    """Folder with NAME.toml or default.toml; those that come with the package by default."""
    n_train: int = 1000
    """Frames to train on."""
    seeds: int = 1
    """Runs of each molecule, with another split and other first weights."""
    steps: int | None = None
    """In place of the configuration's."""
    evaluate_only: bool = False
    """Test the shipped models instead of training."""
    physics: float = 0.0
    """ps of dynamics at 300 K to check every model with, after relaxation and frequencies."""
    download: bool = False
    """Fetch the original files into the folder of the data, where they aren't there (the extra fetch)."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda[:N]."""

    def __post_init__(self) -> None:
        if self.seeds < 1 or (self.evaluate_only and self.seeds > 1):
            raise ValueError(f"{self.seeds} seeds: one or more, and one only for shipped models")


@dataclass(frozen=True)
class MD17Output(OutputOptions):
    """What ``reproduce md17`` writes."""

    output: OutputPath = Path("runs/md17")
    """Folder with a run per molecule; runs that are there are continued."""


@reproduce.command
def md17(
    *molecule: str, settings: Annotated[MD17Settings, Flat] = MD17Settings(), out: MD17Output = MD17Output()
) -> None:
    """Tables 5.3 and 5.4 at N = 1,000: train, test on the other frames, compare with the paper.

    Parameters
    ----------
    molecule
        Names such as ethanol; all eight by default.
    """
    from schnet_calc.data.fetch import fetch_md17
    from schnet_calc.studies import md17 as study
    from schnet_calc.studies.configs import config_folder, data_folder
    from schnet_calc.studies.kept import steps_of
    from schnet_calc.studies.stability import Stability

    folder, output = settings.data or data_folder() / "md17", out.output
    names = study.check_names(molecule)
    rows: list[study.MoleculeErrors] = []
    checks: dict[str, Stability] = {}
    curves: dict[str, Path] = {}
    with progress_bar() as bar:
        stages = Stages(bar)
        for name, seed in ((n, s) for n in names for s in range(settings.seeds)):
            if settings.download:
                fetch_md17(name, folder)
            config = study.configuration(
                settings.configs or config_folder("md17"), folder, name, settings.n_train, seed
            )
            if settings.steps is not None:
                config = config.changed({"steps": settings.steps})
            place = output / (name if seed == 0 else f"{name}_seed{seed}")
            model: str | Path = name if settings.evaluate_only else place / "model.pt"
            if settings.evaluate_only:
                tested = study.evaluate_molecule(name, config, settings.device)
            else:
                tested = study.train_molecule(config, place, command_line(), steps_of(stages, place.name))
            rows.append(study.MoleculeErrors(name, tested, seed))
            if not settings.evaluate_only:
                curves[rows[-1].name] = place / "metrics.csv"
            if settings.physics:
                checks[rows[-1].name] = _physics(config, model, place, settings, stages)
    if curves:
        from schnet_calc import plots

        plots.draw_to(output / "learning_curves", plots.draw_learning_curves, curves, size=(6.5, 4.2))
    print_rows(rows, checks)
    physical = {key: {"physics": check.to_dict()} for key, check in checks.items()}
    write_json(out.json, {r.name: r.to_dict() | physical.get(r.name, {}) for r in rows})


def _physics(config: Any, model: str | Path, place: Path, settings: MD17Settings, stages: Stages) -> Any:
    """Relaxation, frequencies and dynamics of a molecule with its model."""
    from schnet_calc.studies.stability import check_stability
    from schnet_calc.training.setup import read_data

    shown = partial(stages, f"{place.name}, 300 K")
    how: dict[str, Any] = {"time": settings.physics, "device": settings.device, "progress": shown}
    return check_stability(read_data(config).atoms(0), model, place / "md_300K", **how)


@reproduce.command
def ablation(
    molecule: str = "ethanol",
    *,
    data: Path | None = None,
    configs: Path | None = None,
    n_train: int = 1000,
    steps: int | None = None,
    output: OutputPath = Path("runs/ablation"),
    json: JsonPath = None,
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
    """
    from schnet_calc import plots
    from schnet_calc.studies.configs import config_folder, data_folder
    from schnet_calc.studies.figures import draw_ablation
    from schnet_calc.studies.kept import MeanErrors
    from schnet_calc.studies.md17 import check_names, configuration, run_ablation

    (name,) = check_names([molecule])
    config = configuration(configs or config_folder("md17"), data or data_folder() / "md17", name, n_train)
    if steps is not None:
        config = config.changed({"steps": steps})
    with progress_bar() as bar:
        found = run_ablation(config, output, command_line(), Stages(bar))
    rows = [[v.name, *(f"{x:.3f}" for x in MeanErrors.of(v.errors))] for v in found]
    print_columns(f"{name}, mean absolute errors", ("", "energy, kcal/mol", "force, kcal/mol/Å"), rows)
    plots.draw_to(output / "ablation", draw_ablation, found, size=(8, 3.4), columns=2)
    write_json(json, {v.name: v.to_dict() for v in found})
