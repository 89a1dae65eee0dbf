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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column, Table
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


def listed(*paths: Path) -> str:
    """Return the names of files, one a line; those that differ in their endings alone, as figures do, on one."""
    stems: dict[Path, list[str]] = {}
    for path in paths:
        stems.setdefault(path.with_suffix(""), []).append(path.suffix)
    return "\n".join(f"{stem}{' '.join(endings)}" for stem, endings in stems.items())


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


class Note(ProgressColumn):
    """What a stage says beside how far it is, if anything."""

    def render(self, task: Task) -> Text:
        """One line."""
        return Text(str(task.fields.get("note", "")))


class Pace(ProgressColumn):
    """How fast a task goes, and how long it still takes."""

    def render(self, task: Task) -> Text:
        """As many columns as it takes, and no more."""
        speed = task.finished_speed or task.speed
        seconds = task.elapsed if task.finished else task.time_remaining
        return Text(pace(speed, seconds, task.finished), no_wrap=True)


def pace(speed: float | None, seconds: float | None, finished: bool = False) -> str:
    """Words for steps per second, and for the seconds that are left or were needed."""
    if not speed or seconds is None:
        return "-"
    rate = (
        f"{speed:.0f}/s" if speed >= 10 else f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
    )
    return f"{rate}, {_clock(seconds)} {'in all' if finished else 'left'}"


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on a terminal; nothing elsewhere. It is legible in 80 columns: what is too long is the note."""
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        Pace(),
        Note(table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal, expand=True) as progress:
        yield progress


class Stages:
    """Shows the progress of a task with several stages; lines now and then instead of bars off a terminal."""

    FIRST, EVERY = 10.0, 60.0
    """Seconds to a stage's first line, and from one to the next."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, Any] = {}
        self.started: dict[str, tuple[float, int]] = {}
        self.next: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report that ``done`` of ``total`` steps of a stage are made."""
        now = time.perf_counter()
        if stage not in self.tasks:
            self.tasks[stage] = self.progress.add_task(stage, total=total, completed=done, note="")
        elif stage not in self.started:  # once more, as stages of a loop are
            self.progress.reset(self.tasks[stage])
        started, first = self.started.setdefault(stage, (now, done))
        self.progress.update(self.tasks[stage], completed=done, total=total, note=note)
        if self.progress.disable and done < total and now >= self.next.setdefault(stage, now + self.FIRST):
            self.next[stage] = now + self.EVERY
            speed = (done - first) / (now - started)
            words = [
                f"{stage}: {done} of {total}",
                pace(speed, (total - done) / speed if speed else None),
                note,
            ]
            err.print(", ".join(w for w in words if w not in ("", "-")), soft_wrap=True)
        if done == total:
            del self.started[stage]
            self.next.pop(stage, None)
            if self.progress.disable:
                err.print(f"{stage}: done in {now - started:.1f} s")


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
