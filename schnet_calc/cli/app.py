"""The application that the commands register with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from schnet_calc import __version__

if TYPE_CHECKING:
    from schnet_calc import SchNetCalculator

app = App(
    name="schnet-calc",
    help="Trained SchNet potentials: relaxation, normal modes, molecular dynamics, training.\n\n"
    "--traceback on any command shows where an error comes from.",
    version=__version__,
    suppress_keyboard_interrupt=False,  # main() says what an interruption leaves behind
)
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
Several = Parameter(consume_multiple=True, negative="")
"""For a list: ``--elements H C O``."""


def open_model(model: str, device: str, dtype: str | None = None, **options: Any) -> "SchNetCalculator":
    """The calculator of a model, or of several joined by ``+``."""
    from schnet_calc import SchNetCalculator
    from schnet_calc.model import model_sources

    return SchNetCalculator(model_sources(model), device=device, dtype=dtype, **options)


DOUBTFUL = 3
"""Exit status of commands whose results lie outside of what the model knows."""


def tell_doubts(calculator: "SchNetCalculator") -> None:
    """End with another exit status if structures were doubtful."""
    tell_doubtful(calculator.guard.count)


def tell_doubtful(count: int, reason: str = "") -> None:
    """The same for so many structures, and why the first of them was."""
    from schnet_calc.cli.console import err

    if count:
        first = f" (the first: {reason})" if reason else ""
        err.print(
            f"[yellow]doubtful:[/yellow] {count} structures lay outside of what the model knows{first}; "
            f"exit status {DOUBTFUL}",
            soft_wrap=True,
        )
        raise SystemExit(DOUBTFUL)
