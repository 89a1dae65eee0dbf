"""The loop: label, train, run, doubt, choose, and again."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ase

from schnet_calc.folders import locked
from schnet_calc.learn.dynamics import Say
from schnet_calc.learn.executors import Labeller, Source, local_labeller, open_dask
from schnet_calc.learn.labelling import Progress, Reference
from schnet_calc.learn.learner import Learner
from schnet_calc.learn.result import LearnResult
from schnet_calc.learn.settings import LearnSettings
from schnet_calc.references.sources import name_of

LOCK = "learn.lock"
UNFIT = "+,:{}<>&[]"
"""What names of models must not hold: they stand in i-PI's input, joined by ``+``."""


def learn(
    atoms: ase.Atoms | Sequence[ase.Atoms],
    calculator: Any,
    directory: str | Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
    **options: Any,
) -> LearnResult:
    """Learn a potential for dynamics at a temperature, with labels where the model itself asks for them.

    Parameters
    ----------
    atoms : Atoms, or a sequence of them
        The molecule, or several start structures: conformers, molecules, crystals with their cells.
    calculator : str, Path, callable or Calculator
        The reference: a name such as ``"GFN2-xTB"``, a Python file that defines ``calculator()``, something
        that makes a calculator, or one that other processes can be sent.
    directory : path
        Everything is kept there.
    resume : bool
        Go on with the run in the folder, wherever it was interrupted.
    progress : callable, optional
        Called with a stage, how much of it is done, how much there is, and a note.
    say : callable, optional
        Told in a line what happens.
    **options
        Fields of :class:`~schnet_calc.learn.settings.LearnSettings`: ``temperature``, ``beads``, ``time``,
        ``budget``, ``workers``, ``executor`` ...

    Returns
    -------
    LearnResult
        Look at ``trusted``: a spent budget is no error.

    Raises
    ------
    FileExistsError
        The folder holds a run and ``resume`` is false.
    ValueError
        Settings that make no sense, or are others than the run in the folder has; no structure; a name of
        the folder that i-PI could not be told.
    RuntimeError
        The reference can't be made or fails again and again, a training fails, or another process is at
        work in the folder.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from schnet_calc.learn import learn
    >>> found = learn(molecule("CH3OH"), "GFN2-xTB", "methanol", temperature=300, beads=8)  # doctest: +SKIP
    """
    settings, starts, directory = LearnSettings(**options), _starts(atoms), _checked(directory)
    told, heard = progress or (lambda *_: None), say or (lambda _: None)
    with locked(directory, LOCK), _workers(calculator, settings) as (labeller, trains):
        learner = Learner(starts, name_of(calculator), directory, settings, resume, told, heard)
        learner.executor = trains
        return learner.run(Reference(learner.store, labeller, told))


def _starts(atoms: ase.Atoms | Sequence[ase.Atoms]) -> list[ase.Atoms]:
    starts = [atoms] if isinstance(atoms, ase.Atoms) else list(atoms)
    if not starts:
        raise ValueError("there is no structure to start from")
    return starts


def _checked(folder: str | Path) -> Path:
    directory = Path(folder).resolve()
    bad = [c for c in UNFIT if c in str(directory)]
    if bad:
        raise ValueError(f"i-PI can't be told of models in {directory}: there is a {bad[0]!r} in the name")
    return directory


@contextmanager
def _workers(source: Any, settings: LearnSettings) -> Iterator[tuple[Labeller, Executor | None]]:
    """What labels, and what trains: None for processes of this machine.

    Raises
    ------
    ValueError
        Another kind than local and dask, no address for dask, or one without dask.
    """
    kind, scheduler = settings.executor, settings.scheduler
    if kind not in ("local", "dask"):
        raise ValueError(f"executor is local or dask, got {kind!r}")
    if (kind == "dask") != bool(scheduler):
        raise ValueError(
            f"executor dask and the address of its scheduler go together, got {kind} {scheduler!r}"
        )
    if kind == "local":
        with local_labeller(source, settings.workers, settings.timeout) as labeller:
            yield labeller, None
        return
    with open_dask(scheduler) as (executor, slots):
        yield Labeller(Source.pack(source), executor, slots, settings.timeout), executor
