"""The model's own dynamics, watched: classical first, then path integrals, until they are done or doubted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import ase

from schnet_calc.errors import SchNetCalcError, in_a_line
from schnet_calc.learn.diversity import choose_diverse
from schnet_calc.learn.doubt import Judge, Judgement
from schnet_calc.learn.labelling import Progress
from schnet_calc.learn.runs import KINDS, Run
from schnet_calc.learn.settings import LearnSettings

PORTIONS = (0.2, 1.0)
"""Of a run, after which its frames are looked at: an untrained model is found out soon."""
MANY = 10
"""Frames without doubt to choose each one from that is labelled."""
FAILURES = (SchNetCalcError, FloatingPointError, RuntimeError)
"""What a simulation that has gone astray ends with."""
Say = Callable[[str], None]


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

    def summary(self, steps: int) -> str:
        """Return what there is to say after so many steps of a run."""
        return f"{len(self.doubtful)} of {self.seen} frames doubtful" if steps else "starts"

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
    tell = _Teller(settings, len(starts), progress, found.summary)
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
            tell(name, tell.total) if whole else tell.end(name)
            continue
        found.complete = False
        tell.end(name)
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
    models, starts, settings, folder, say, progress
        As for :func:`explore`; a run begins from each start.
    """
    found, time = [], settings.time / len(starts)
    tell = _Teller(settings, len(starts), progress, lambda _: "to its full length")
    for name, run in _runs(_kinds(settings)[-1:], models, starts, settings, folder, tell):
        tell(name, 0)
        for part in _portions(run, time, say, (1.0,)):
            found += part
        tell(name, tell.total)
    return found


class _Teller:
    """Tells how far runs of a round are, which share the time that is wanted."""

    def __init__(
        self, settings: LearnSettings, n_runs: int, progress: Progress, note: Callable[[int], str]
    ) -> None:
        self.total = round(1000.0 * settings.time / n_runs / settings.timestep)
        self.progress, self.note = progress, note

    def __call__(self, name: str, steps: int) -> None:
        self.progress(name, min(steps, self.total), self.total, self.note(steps))

    def end(self, name: str) -> None:
        """Tell that nothing more of a run will come."""
        self.progress(name, self.total, self.total, "ended early")


def _kinds(settings: LearnSettings) -> list[str]:
    """Of dynamics, the cheap one first."""
    return ["MD", "PIMD"] if settings.beads > 1 else ["MD"]


def _runs(
    kinds: Sequence[str],
    models: Sequence[Path],
    starts: Sequence[ase.Atoms],
    settings: LearnSettings,
    folder: Path,
    tell: _Teller,
) -> Iterator[tuple[str, Run]]:
    """Names and runs."""
    for kind in kinds:
        for k, atoms in enumerate(starts):
            name = kind if len(starts) == 1 else f"{kind} from start {k}"
            place = folder / f"{kind.lower()}_{k}"
            yield name, KINDS[kind](list(models), atoms, settings, place, partial(tell, name))


def _portions(
    run: Run, time: float, say: Say, portions: Sequence[float] = PORTIONS
) -> Iterator[list[list[ase.Atoms]]]:
    """Trajectories after every portion of a run; fewer if it breaks down, the last with what there is."""
    for portion in portions:
        try:
            run.advance(portion * time)
        except FAILURES as error:
            say(f"the dynamics broke down: {in_a_line(error)}")
            yield run.frames()
            return
        yield run.frames()
