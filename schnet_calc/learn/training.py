"""A committee from all labels there are, its members trained beside each other."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import ase
import ase.io
import numpy as np

from schnet_calc.data import Split
from schnet_calc.folders import replaced
from schnet_calc.learn.labelling import Progress
from schnet_calc.learn.member import PROGRESS
from schnet_calc.learn.remote import PROGRAM, train_there
from schnet_calc.learn.settings import LearnSettings
from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, RunConfig, TrainingConfig

VALIDATION = 10
"""Every tenth structure is validated with."""
STRONGEST = 50.0
"""eV/Å; structures with stronger forces are of no use to a model for ordinary temperatures."""
ATTEMPTS = 3
"""Times that a member is trained whose worker was lost."""
LOOK = 0.5
"""Seconds between looks at the members."""
GRACE = 10.0
"""Seconds that an interrupted training has for a checkpoint."""
FRAMES, SPLIT, MODEL, LOG = "frames.extxyz", "split.npz", "model.pt", "training.log"


def write_data(
    labelled: Sequence[ase.Atoms], folder: Path, theory: str, temperature: float | None = None
) -> None:
    """Write the frames and the split of a round; a structure keeps its role from round to round.

    Parameters
    ----------
    labelled : sequence of Atoms
        In the order of their labels, which later rounds only append to.
    folder : Path
        Of the round.
    theory : str
        Level of theory, for the model's card.
    temperature : float, optional
        K, of the hottest dynamics that the structures are for, for the card, too.

    Raises
    ------
    RuntimeError
        There are too few.
    """
    if len(labelled) < 2 * VALIDATION:
        raise RuntimeError(f"{len(labelled)} labels are too few to train on: at least {2 * VALIDATION}")
    for atoms in labelled:
        atoms.info["theory"] = theory
        if temperature is not None:
            atoms.info["heated_to"] = f"{temperature:g} K"
    usable = np.array([np.abs(atoms.calc.results["forces"]).max() < STRONGEST for atoms in labelled])
    rows = np.arange(len(labelled))
    held_out = rows % VALIDATION == VALIDATION // 2
    with replaced(folder / FRAMES) as scratch:  # which tells that the split is there, too
        ase.io.write(scratch, labelled, format="extxyz")
        Split(rows[usable & ~held_out], rows[usable & held_out], rows[:0]).save(folder / SPLIT)


def training_config(
    folder: Path, labelled: Sequence[ase.Atoms], settings: LearnSettings, further: bool
) -> RunConfig:
    """Return what the members of a round have in common.

    Parameters
    ----------
    folder : Path
        Of the round, with its data.
    labelled : sequence of Atoms
        The same data.
    settings : LearnSettings
        Widths and steps.
    further : bool
        Whether the members start from earlier ones.
    """
    shared = set.intersection(*(set(atoms.calc.results) for atoms in labelled))
    periodic = "stress" in shared
    least = settings.steps if further else settings.first_steps
    steps = max(least, settings.steps_per_label * len(labelled))
    data = DataConfig(
        file=str(folder / FRAMES),
        split=str(folder / SPLIT),
        dipole_key="dipole" if "dipole" in shared and not periodic else "",
        stress_key="stress" if periodic else "",
    )
    network = SchNetConfig(
        n_features=settings.features, n_interactions=3, n_gaussians=25, cutoff=6.0, basis_width=0.3
    )
    training = TrainingConfig(
        steps=steps,
        rho=1.0,
        stress_weight=0.1 if periodic else 0.0,
        dipole_weight=0.1,
        optimizer="soap",
        learning_rate=5e-4 if further else 1e-3,
        final_learning_rate=5e-6,
        warmup=min(300, max(steps // 10, 1)),
        clip=3.0,
        ema=min(0.999, max(1.0 - 10.0 / steps, 0.0)),
        validate_every=max(steps // 10, 1),
        checkpoint_minutes=0.5,
        spline_spacing=0.03,
        device=settings.device,
        threads=max(1, (os.cpu_count() or 1) // settings.members),
        seed=settings.seed,
    )
    return RunConfig(data, network, training)


def train_committee(
    config: RunConfig,
    folder: Path,
    before: Sequence[Path],
    n_members: int,
    progress: Progress,
    executor: Executor | None = None,
) -> list[Path]:
    """Train the members that are not finished yet, in processes of their own; their model files.

    Parameters
    ----------
    config : RunConfig
        From :func:`training_config`.
    folder : Path
        Of the round; member k gets ``member_k`` in it.
    before : sequence of Path
        Model files that the members start from, or none.
    n_members : int
        How many.
    progress : callable
        Told the steps of all members together.
    executor : Executor, optional
        What trains the members; processes of this machine by default. Its workers must see the folder.

    Raises
    ------
    RuntimeError
        The training of a member failed; the end of its log is in the message.
    """
    folders = [folder / f"member_{k}" for k in range(n_members)]
    waiting = [k for k, home in enumerate(folders) if not (home / MODEL).exists()]
    running: dict[int, subprocess.Popen[bytes]] = {}
    look = _Watching(folders, config.training.steps, progress)
    if executor is not None:
        starts = {k: str(before[k]) if before else "" for k in waiting}
        members = {folders[k]: _own(config, k, starts[k]) for k in waiting}
        _train_there(executor, members, lambda: look(waiting))
        look([])
        return [home / MODEL for home in folders]
    at_once = min(n_members, os.cpu_count() or 1)
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                k = waiting.pop(0)
                start = str(before[k]) if before else ""
                running[k] = _start(_own(config, k, start), folders[k])
            time.sleep(LOOK)
            for k in [k for k, process in running.items() if process.poll() is not None]:
                _check_end(running.pop(k), folders[k])
            look(running)
    finally:
        _stop(list(running.values()))
    return [home / MODEL for home in folders]


class _Watching:
    """Tells the steps of all members together, and who is trained now, when either has changed."""

    def __init__(self, folders: Sequence[Path], steps: int, progress: Progress) -> None:
        self.folders, self.steps, self.progress = folders, steps, progress
        self.told = (-1, "")

    def __call__(self, running: Iterable[int]) -> None:
        made = sum(_steps(home, self.steps) for home in self.folders)
        members = ", ".join(str(k + 1) for k in sorted(running))
        if (made, members) != self.told:
            note = f"member {members}" + ("" if made else " starts")
            self.progress("training", made, len(self.folders) * self.steps, note if members else "")
        self.told = made, members


def _own(config: RunConfig, member: int, start: str) -> RunConfig:
    """What member k trains with."""
    seed = config.training.seed + member
    return replace(config, training=replace(config.training, seed=seed, start_from=start))


def _train_there(executor: Executor, members: dict[Path, RunConfig], look: Callable[[], None]) -> None:
    """Train members by an executor and look at them; one whose worker is lost goes on from its checkpoint."""
    for attempt in range(1, ATTEMPTS + 1):
        jobs = {
            home: executor.submit(train_there, own.to_dict(), str(home), LOG)
            for home, own in members.items()
        }
        while not all(job.done() for job in jobs.values()):
            look()
            time.sleep(LOOK)
        lost = {}
        for home, job in jobs.items():
            try:
                status = job.result()
            except Exception as error:  # of the executor
                if attempt == ATTEMPTS:
                    raise RuntimeError(
                        f"the training in {home} lost its worker {ATTEMPTS} times: {error!r}"
                    ) from error
                lost[home] = members[home]
                continue
            if status:
                raise RuntimeError(_failure(home, status))
        if not lost:
            return
        members = lost


def _start(own: RunConfig, home: Path) -> subprocess.Popen[bytes]:
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_text(json.dumps(own.to_dict()))
    with (home / LOG).open("ab") as log:
        # Its input stays open as long as this process lives: that is how it knows.
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(home / "config.json"), str(home)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _stop(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """End trainings: each makes its step, and a checkpoint, if it can soon."""
    for process in running:
        process.terminate()
    deadline = time.monotonic() + GRACE
    for process in running:
        try:
            process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _check_end(process: subprocess.Popen[bytes], home: Path) -> None:
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode:
        raise RuntimeError(_failure(home, process.returncode))


def _failure(home: Path, status: int) -> str:
    words = "\n".join((home / LOG).read_text(errors="replace").splitlines()[-8:])
    return f"the training in {home} ended with status {status}; its log ends with\n{words}"


def _steps(home: Path, steps: int) -> int:
    """Steps that a member has made, as it says itself."""
    if (home / MODEL).exists():
        return steps
    try:
        return int(json.loads((home / PROGRESS).read_text())["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
