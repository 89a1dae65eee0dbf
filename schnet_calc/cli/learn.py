"""The command that learns."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.markup import escape

from schnet_calc.cli.console import (
    DOUBTFUL,
    err,
    noting,
    print_table,
    stages_shown,
    start_waiting,
    write_json,
)
from schnet_calc.cli.options import Flat, OutputOptions, OutputPath, check_files
from schnet_calc.learn.settings import LearnSettings

if TYPE_CHECKING:
    from schnet_calc.learn import LearnResult


@dataclass(frozen=True)
class LearnOutput(OutputOptions):
    """What ``learn`` writes."""

    output: OutputPath = Path("learned")
    """Folder for labels, models, committee.txt and index.html."""
    json: Path | None = None
    """Where to write the numbers, too; they are in learn.json in any case."""


def learn(
    *structures: Path,
    reference: str = "gfn2-xtb",
    calculator: Path | None = None,
    resume: bool = False,
    settings: Annotated[LearnSettings, Flat] = LearnSettings(),
    out: LearnOutput = LearnOutput(),
) -> None:
    """Learn a potential from any ASE calculator, with labels where the model itself asks for them.

    Parameters
    ----------
    structures
        Files that ASE reads; every structure in them is one to start from.
    reference
        What labels: a method of tblite (gfn2-xtb), functional and basis of PySCF (PBE/def2-SVP), the name of an ASE
        calculator, or NAME:METHOD of another package.
    calculator
        Instead: a Python file that defines calculator(), which returns an ASE calculator.
    resume
        Go on with the run in the folder, wherever it was interrupted.
    """
    if not structures:
        raise ValueError("there is no structure to start from: name a file")
    check_files(*structures, calculator)
    from schnet_calc.data.readers import read_structures

    starts = [atoms for path in structures for atoms in read_structures(path)]
    formulas = ", ".join(dict.fromkeys(atoms.get_chemical_formula() for atoms in starts))
    err.print(f"learning {formulas} from {escape(str(calculator or reference))}, in {out.output}")
    start_waiting()
    from schnet_calc.learn import learn as run
    from schnet_calc.report.learn_page import write_learn_report

    with stages_shown() as stages:
        result = run(
            starts,
            reference if calculator is None else calculator,
            out.output,
            resume=resume,
            progress=noting(out.output, stages),
            say=lambda line: err.print(escape(line), soft_wrap=True),
            **settings.to_dict(),
        )
    page = write_learn_report(out.output)
    print_table("learned", {**summary(result), "page": page, "models": out.output / "committee.txt"})
    write_json(out.json, result.to_dict())
    if not result.trusted:
        err.print(
            "[yellow]not trusted yet:[/yellow] the budget or the rounds were spent before dynamics without "
            f"doubt; --resume with more of them goes on. Exit status {DOUBTFUL}",
            soft_wrap=True,
        )
        raise SystemExit(DOUBTFUL)


def summary(result: "LearnResult") -> dict[str, str]:
    """Return the rows of the table."""
    from schnet_calc.learn.result import worth_of

    minutes = {name: f"{seconds / 60:.1f}" for name, seconds in result.seconds.items()}
    return {
        "trusted": "yes" if result.trusted else "no",
        "labels": f"{result.labels} in {len(result.rounds)} rounds; {result.calculations} calculations in "
        f"all, {result.failures} failed",
        "minutes": ", ".join(f"{name} {value}" for name, value in minutes.items()),
        "validation": f"force MAE {1e3 * result.rounds[-1].force_mae:.1f} meV/Å",
        **worth_of(result.proof),
    }
