"""The model's own dynamics, watched: classical first, then path integrals, until they are done or doubted."""

import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import ase
import numpy as np

from schnet_calc import SchNetCalculator
from schnet_calc.errors import SchNetCalcError, in_a_line
from schnet_calc.ipi.outputs import bead_files, read_frames
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.learn.diversity import choose_diverse
from schnet_calc.learn.doubt import Judge, Judgement
from schnet_calc.learn.labelling import Progress
from schnet_calc.learn.settings import LearnSettings
from schnet_calc.simulate.md import MDSettings, run_md
from schnet_calc.simulate.pimd import run_pimd

PORTIONS = (0.2, 1.0)
"""Of a run, after which its frames are looked at: an untrained model is found out soon."""
MANY = 10
"""Frames without doubt to choose each one from that is labelled."""
INTERVAL = 20
"""Steps between frames."""
PATIENCE = 60.0
"""Minutes to wait for the i-PI of an interrupted run, which goes on by itself."""
BUSY = "another run is at work"
FAILURES = (SchNetCalcError, FloatingPointError, RuntimeError)
"""What a simulation that has gone astray ends with."""
Say = Callable[[str], None]
Advance = Callable[[float], list[list[ase.Atoms]]]
"""ps -> the trajectories so far, one or one per bead."""
Tell = Callable[[str, int], None]
"""Told the name of a run and the steps that it has made."""


@dataclass
class Exploration:
    """Outcome of :func:`explore`."""

    doubtful: list[ase.Atoms] = field(default_factory=list)
    """Frames in doubt, up to the one that went astray; ``info["doubt"]`` says why."""
    calm: list[ase.Atoms] = field(default_factory=list)
    """The others, those that the committee agrees least about first."""
    seen: int = 0
    """Frames looked at."""
    complete: bool = True
    """Whether all runs were as long as wanted."""

    def add(self, frames: Sequence[ase.Atoms], found: Judgement) -> None:
        """Take frames of one trajectory with what was thought of them."""
        self.seen += len(frames)
        for k, atoms in enumerate(frames[: found.sound]):
            atoms.info["spread"] = float(found.spreads[k])
            if found.reasons[k]:
                atoms.info["doubt"] = found.reasons[k]
                self.doubtful.append(atoms)
            else:
                self.calm.append(atoms)

    def worth_a_label(self, known: Sequence[ase.Atoms], count: int) -> list[ase.Atoms]:
        """Choose doubtful frames, far from each other and from the known, then those with the largest spread.

        Parameters
        ----------
        known : sequence of Atoms
            What is labelled already.
        count : int
            How many, at most.
        """
        doubtful = [self.doubtful[k] for k in choose_diverse(self.doubtful, known, count)]
        rest = self.calm[: MANY * max(count, 0)]
        more = choose_diverse(rest, [*known, *doubtful], count - len(doubtful))
        return doubtful + [rest[k] for k in more]


def explore(
    models: Sequence[Path],
    starts: Sequence[ase.Atoms],
    settings: LearnSettings,
    limit: float,
    folder: Path,
    progress: Progress,
    say: Say,
) -> Exploration:
    """Run dynamics from every start until there is as much doubt as can be labelled, or to the end.

    Parameters
    ----------
    models : sequence of Path
        The committee.
    starts : sequence of Atoms
        They share the time that is wanted.
    settings : LearnSettings
        Temperature, beads, time.
    limit : float
        eV/Å; see :meth:`~schnet_calc.learn.doubt.Calibration.limit`.
    folder : Path
        Of the round; every run gets a folder in it and goes on there if it was interrupted.
    progress, say : callable
        Told how it goes.
    """
    judge, found = Judge(models, settings.choose), Exploration()
    total = round(1000.0 * settings.time / len(starts) / settings.timestep)

    def tell(name: str, steps: int) -> None:
        note = f"{len(found.doubtful)} of {found.seen} frames doubtful" if steps else "starts"
        progress(name, min(steps, total), total, note)

    def end(name: str) -> None:
        progress(name, total, total, "ended early")  # nothing more of it will come

    for name, run in _runs(_kinds(settings), models, starts, settings, folder, tell):
        parts = _portions(run, settings.time / len(starts), say)
        seen: list[int] = []
        tell(name, 0)
        finished = 0
        for finished, trajectories in enumerate(parts, 1):  # noqa: B007 - asked below
            seen = seen or [0] * len(trajectories)
            for b, frames in enumerate(trajectories):
                new = frames[seen[b] :]
                seen[b] = len(frames)
                if new:
                    found.add(new, judge.judge(new, limit))
            if len(found.doubtful) >= settings.batch:
                break
        else:
            whole = finished == len(PORTIONS)
            found.complete &= whole
            tell(name, total) if whole else end(name)
            continue
        found.complete = False
        end(name)
        break
    found.calm.sort(key=lambda atoms: -float(atoms.info["spread"]))
    return found


def trajectories(
    models: Sequence[Path],
    starts: Sequence[ase.Atoms],
    settings: LearnSettings,
    folder: Path,
    say: Say,
    progress: Progress,
) -> list[list[ase.Atoms]]:
    """Return the frames of a round's last kind of dynamics, path integrals if there are any, at full length.

    A run that doubt has ended goes on here; one that breaks down gives what there is.

    Parameters
    ----------
    models : sequence of Path
        The committee.
    starts : sequence of Atoms
        A run begins from each.
    settings : LearnSettings
        Temperature, beads, time.
    folder : Path
        Of the round.
    say, progress : callable
        Told what happens, and how far it is.
    """
    time = settings.time / len(starts)
    total = round(1000.0 * time / settings.timestep)
    found = []

    def tell(name: str, steps: int) -> None:
        progress(name, min(steps, total), total, "to its full length")

    for name, advance in _runs(_kinds(settings)[-1:], models, starts, settings, folder, tell):
        tell(name, 0)
        try:
            found += advance(time)
        except FAILURES as error:
            say(f"the dynamics broke down: {in_a_line(error)}")
            found += advance(0.0)
        tell(name, total)
    return found


def _kinds(settings: LearnSettings) -> list[str]:
    """Of dynamics, the cheap one first."""
    return ["MD", "PIMD"] if settings.beads > 1 else ["MD"]


def _runs(
    kinds: Sequence[str],
    models: Sequence[Path],
    starts: Sequence[ase.Atoms],
    settings: LearnSettings,
    folder: Path,
    tell: Tell,
) -> Iterator[tuple[str, Advance]]:
    """Names and runs."""
    for kind in kinds:
        make = {"MD": _md, "PIMD": _pimd}[kind]
        for k, atoms in enumerate(starts):
            name = kind if len(starts) == 1 else f"{kind} from start {k}"
            yield name, make(models, atoms, settings, folder / f"{kind.lower()}_{k}", partial(tell, name))


def _portions(advance: Advance, time: float, say: Say) -> Iterator[list[list[ase.Atoms]]]:
    """Trajectories after every portion of a run; fewer if it breaks down, the last with what there is."""
    for portion in PORTIONS:
        try:
            yield advance(portion * time)
        except FAILURES as error:
            say(f"the dynamics broke down: {in_a_line(error)}")
            yield advance(0.0)
            return


def _md(
    models: Sequence[Path],
    atoms: ase.Atoms,
    settings: LearnSettings,
    folder: Path,
    tell: Callable[[int], None],
) -> Advance:
    calculator = SchNetCalculator(list(models), device=settings.device, on_doubt="ignore")
    kelvin = settings.heat * settings.temperature
    trajectory = folder / "md.traj"

    def advance(time: float) -> list[list[ase.Atoms]]:
        if time:
            how = MDSettings(kelvin, time, settings.timestep, interval=INTERVAL, seed=settings.seed)
            run_md(atoms, calculator, how, folder, resume=True, progress=lambda step, _: tell(step))
        frames = on_template(atoms, ase.io.read(trajectory, ":")) if trajectory.exists() else []
        return [frames]

    return advance


def _pimd(
    models: Sequence[Path],
    atoms: ase.Atoms,
    settings: LearnSettings,
    folder: Path,
    tell: Callable[[int], None],
) -> Advance:
    def advance(time: float) -> list[list[ase.Atoms]]:
        if time:
            options: dict[str, Any] = {
                "resume": True,
                "device": settings.device,
                "progress": lambda step, _: tell(step),
            }
            how = pimd_settings(settings, time)
            _patiently(lambda: run_pimd(atoms, list(models), how, folder, **options))
        return [on_template(atoms, read_frames(path)) for path in bead_files(folder)]

    return advance


def pimd_settings(settings: LearnSettings, time: float) -> PIMDSettings:
    """Return what i-PI is told for a run of some ps."""
    return PIMDSettings(
        beads=settings.beads,
        temperature=settings.temperature,
        time=time,
        timestep=settings.timestep,
        frame_stride=INTERVAL,
        seed=settings.seed,
    )


def _patiently(run: Callable[[], object]) -> None:
    """Wait for another i-PI in the folder: that of a killed run goes on to its end, and spares us the work."""
    deadline = clock.monotonic() + 60.0 * PATIENCE
    while True:
        try:
            run()
        except RuntimeError as error:
            if BUSY not in str(error) or clock.monotonic() > deadline:
                raise
            clock.sleep(1.0)
        else:
            return


def on_template(template: ase.Atoms, frames: Sequence[ase.Atoms]) -> list[ase.Atoms]:
    """Return frames with the charges and spins of the start, and for crystals with their own cells."""
    found = []
    for frame in frames:
        atoms = template.copy()
        atoms.info = dict(template.info)
        atoms.positions = frame.positions
        if template.pbc.any():
            atoms.set_cell(frame.cell)
        if not np.isfinite(atoms.positions).all():
            break
        found.append(atoms)
    return found
