"""The exit status of commands whose results lie outside of what the model knows."""

from typing import TYPE_CHECKING

from rich.markup import escape

from schnet_calc.cli.console import err

if TYPE_CHECKING:
    from schnet_calc import SchNetCalculator

DOUBTFUL = 3


def tell_doubts(calculator: "SchNetCalculator") -> None:
    """End with another exit status if structures were doubtful."""
    tell_doubtful(calculator.guard.count)


def tell_doubtful(count: int, reason: str = "") -> None:
    """The same for so many structures, and why the first of them was."""
    if count:
        first = f" (the first: {escape(reason)})" if reason else ""
        err.print(
            f"[yellow]doubtful:[/yellow] {count} structures lay outside of what the model knows{first}; "
            f"exit status {DOUBTFUL}",
            soft_wrap=True,
        )
        raise SystemExit(DOUBTFUL)
