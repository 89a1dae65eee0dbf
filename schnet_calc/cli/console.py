"""Tables, progress bars and errors of the command line."""

import json
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from schnet_calc.errors import printable

LONGEST_CELL = 2000
"""Characters that a table shows of one value."""


class SafeConsole(Console):
    """A console that no text from a file can steer."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text for the console, its control characters written as escapes."""
        return super().render_str(printable(text), **options)


class SafeFormatter(logging.Formatter):
    """Writes what is logged in the same way."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return printable(super().format(record))


out = SafeConsole(highlight=False)
err = SafeConsole(stderr=True, highlight=False)


def print_table(title: str, rows: Mapping[str, Any]) -> None:
    """A table of two columns."""
    table = Table(title=escape(title), show_header=False, title_justify="left", title_style="bold")
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows.items():
        text = str(value)
        if len(text) > LONGEST_CELL:
            text = f"{text[:LONGEST_CELL]} ... ({len(text)} characters)"
        table.add_row(escape(key[:200]), escape(text))
    out.print(table)


def write_json(path: Path | None, values: Mapping[str, Any]) -> None:
    """Write numbers as JSON, if a path is given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1) + "\n")
        out.print(f"numbers in {escape(str(path))}")


def command_line() -> str:
    """Return this command as it may be shown to others: paths as seen from here, or names alone."""
    return shlex.join(["schnet-calc", *map(_portable, sys.argv[1:])])


def _portable(argument: str) -> str:
    option, equals, value = argument.rpartition("=") if argument.startswith("-") else ("", "", argument)
    if Path(value).is_absolute():
        path = Path(value)
        value = str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name
    return option + equals + value


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on a terminal; nothing elsewhere."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=err, disable=not sys.stderr.isatty()) as progress:
        yield progress


class Stages:
    """Shows the progress of a task with several stages; lines instead of bars off a terminal."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, Any] = {}
        self.started: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report that ``done`` of ``total`` steps of a stage are made."""
        if stage not in self.tasks:
            self.tasks[stage] = self.progress.add_task(stage, total=total, note="")
        elif stage not in self.started:  # once more, as stages of a loop are
            self.progress.reset(self.tasks[stage])
        started = self.started.setdefault(stage, time.perf_counter())
        self.progress.update(self.tasks[stage], completed=done, total=total, note=note)
        if done == total:
            del self.started[stage]
            if self.progress.disable:
                err.print(f"{stage}: done in {time.perf_counter() - started:.1f} s")


class Speed:
    """ns/day of a running simulation."""

    def __init__(self, timestep: float) -> None:
        self.timestep = timestep
        self.first: tuple[int, float] | None = None

    def __call__(self, step: int) -> str:
        """The rate since the first call, ready to print."""
        now = time.perf_counter()
        if self.first is None:
            self.first = (step, now)
        steps, seconds = step - self.first[0], now - self.first[1]
        if not steps or not seconds:
            return ""
        return f"{steps * self.timestep * 1e-6 / seconds * 86400:.2f} ns/day"
