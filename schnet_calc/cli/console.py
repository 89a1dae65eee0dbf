"""Tables, progress bars, errors and doubts of the command line."""

import json
import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.status import Status
from rich.table import Column, Table
from rich.text import Text

from schnet_calc.errors import printable
from schnet_calc.folders import note_command
from schnet_calc.stages import told_to

if TYPE_CHECKING:
    from schnet_calc import SchNetCalculator

LONGEST_CELL = 2000
"""Characters that a table shows of one value."""


class SafeConsole(Console):
    """A console that no text from a file can steer, and whose first word ends what is shown until then."""

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        """Print; messages that a line would hold elsewhere are folded between words on a terminal."""
        stop_waiting()
        folded = soft_wrap and self.stderr and self.is_terminal
        super().print(*objects, soft_wrap=None if folded else soft_wrap, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text for the console, its control characters written as escapes."""
        return super().render_str(printable(text), **options)


class ConsoleHandler(logging.Handler):
    """Writes what is logged in the same way, above progress bars and not into them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the line of a record."""
        err.print(self.format(record), soft_wrap=True, markup=False)


out = SafeConsole(highlight=False)
err = SafeConsole(stderr=True, highlight=False)
_waiting: list[Status] = []


def start_waiting() -> None:
    """Show on a terminal that something is going on, until there is more to say: imports alone take seconds."""
    if err.is_terminal and not err.is_dumb_terminal:
        _waiting.append(Console(stderr=True).status("starting"))  # of its own: not ended by what it writes
        _waiting[-1].start()


def stop_waiting() -> None:
    """Take that away."""
    while _waiting:
        _waiting.pop().stop()


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


def warn(text: str) -> None:
    """Print a warning."""
    err.print(f"[yellow]warning:[/yellow] {escape(text)}", soft_wrap=True)


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


def noting(folder: Path, progress: Callable[..., None]) -> Callable[..., None]:
    """Return what is told of a run, and at first notes this command in its folder: none that was refused.

    Parameters
    ----------
    folder : Path
        Of the run.
    progress : callable
        What is told of the run as well.
    """
    noted = False

    def told(*step: Any) -> None:
        nonlocal noted
        if not noted:
            noted = True
            note_command(folder, command_line())
        progress(*step)

    return told


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
        seconds = task.finished_time if task.finished else task.time_remaining
        return Text(pace(speed, seconds, task.finished), no_wrap=True)


def pace(speed: float | None, seconds: float | None, finished: bool = False) -> str:
    """Words for steps per second, and for the seconds that are left or were needed.

    Parameters
    ----------
    speed : float, optional
        Steps per second, as far as there were any.
    seconds : float, optional
        That are left, or that all took.
    finished : bool
        Which of both.
    """
    if not speed:
        return f"{clock(seconds)} in all" if finished and seconds is not None else "-"
    rate = (
        f"{speed:.0f}/s" if speed >= 10 else f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
    )
    return rate if seconds is None else f"{rate}, {clock(seconds)} {'in all' if finished else 'left'}"


def clock(seconds: float) -> str:
    """Return seconds as minutes or hours."""
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
    stop_waiting()
    with Progress(*columns, console=err, disable=not err.is_terminal, expand=True) as progress:
        yield progress


class Stages:
    """Shows the progress of a task with several stages; lines now and then instead of bars off a terminal."""

    FIRST, EVERY = 10.0, 60.0
    """Seconds to a stage's first line, and from one to the next."""
    SHORT = 0.5
    """Seconds of a stage of which nothing is left to see."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, Any] = {}
        self.started: dict[str, tuple[float, int]] = {}
        self.next: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int | None, note: str = "") -> None:
        """Report that ``done`` of ``total`` steps of a stage are made; None where nobody knows the total."""
        now = time.perf_counter()
        if stage not in self.tasks:
            self.tasks[stage] = self.progress.add_task(stage, total=total, completed=done, note="")
        elif stage not in self.started:  # once more, as stages of a loop are
            self.progress.reset(self.tasks[stage], visible=True)
        started, first = self.started.setdefault(stage, (now, done))
        self.progress.update(self.tasks[stage], completed=done, total=total, note=note)
        if self.progress.disable and done != total and now >= self.next.setdefault(stage, now + self.FIRST):
            self.next[stage] = now + self.EVERY
            speed = (done - first) / (now - started)
            left = (total - done) / speed if speed and total is not None else None
            count = f"{stage}: {done}" + (" steps" if total is None else f" of {total}")
            words = [count, pace(speed, left), note]
            err.print(", ".join(w for w in words if w not in ("", "-")), soft_wrap=True)
        if done == total:
            del self.started[stage]
            self.next.pop(stage, None)
            if now - started < self.SHORT:
                self.progress.update(self.tasks[stage], visible=False)
            elif self.progress.disable:
                err.print(f"{stage}: done in {now - started:.1f} s")

    def ended(self, stage: str) -> bool:
        """Return whether a stage has come to its end."""
        return stage in self.tasks and stage not in self.started


@contextmanager
def stages_shown() -> Iterator[Stages]:
    """Show the stages that functions of the library tell while this lasts, and those of the command itself."""
    with progress_bar() as bar:
        stages = Stages(bar)
        with told_to(stages):
            yield stages


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
