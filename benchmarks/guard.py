"""What the guard misses, and what it doubts without need: thousands of strange structures.

    python benchmarks/guard.py --figure docs/_static/guard                # all
    python benchmarks/guard.py --only ethanol_xtb isomers --every 5       # quickly

``ethanol_xtb`` and ``c20_xtb`` are made first, four of each trained on GFN2-xTB; for them and ``isomers``,
trained on it too, the force error of every structure is computed. So it is for cells of silicon's data that its
training left out. A structure is wrong from five times the RMSE of validation frames on, very wrong from twenty
times. For the others it is wrong if its energy lies outside of the data's range by more than the range's width.
The first of four models is guarded, and its errors count; the four together are a committee to compare with.
False alarms are counted in unseen frames at the temperature of the training, and in dynamics at 300 K.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import ase
import ase.io
import numpy as np
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from alarms import alarms_in_dynamics
from guard_models import MADE, made
from schnet_calc import load_model
from schnet_calc.data import Frames, Split
from schnet_calc.errors import SchNetCalcError
from schnet_calc.guard.check import DomainCheck
from schnet_calc.guard.guard import known_domain
from schnet_calc.model import Model
from schnet_calc.modelfile import find_model
from schnet_calc.references import reference_calculator
from schnet_calc.structures.structure import Structure
from schnet_calc.training.config import RunConfig
from schnet_calc.training.setup import new_split, read_data
from shipped_grades import CONFIGS, MADE_AGAIN, ROOT, changes
from strange import of_molecule, of_silicon, sensible

SHIPPED = (
    *("c20", "c20_accurate", "silicon", "isomers", "h2co"),
    *("ethanol", "malonaldehyde", "benzene", "uracil", "toluene"),
)
WRONG, VERY_WRONG = 5.0, 20.0
"""Times the RMSE of unseen frames."""


class Subject(NamedTuple):
    """A model that is tried, and its data."""

    model: Model
    committee: Model | None
    training: Frames
    validation: Frames
    test: Frames
    start: ase.Atoms


@dataclass
class Found:
    """What became of a model's structures."""

    rmse: float
    """Of forces of validation frames, eV/Å."""
    structures: list[ase.Atoms] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    grades: list[float] = field(default_factory=list)
    doubted: list[bool] = field(default_factory=list)
    in_words: list[bool] = field(default_factory=list)
    """Whether distances, neighbours, compositions and fragments alone doubt it."""
    spreads: list[float] = field(default_factory=list)
    """Of a committee's forces, eV/Å; nothing without."""
    errors: list[float] = field(default_factory=list)
    """In units of what counts as wrong."""


def auroc(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Return how often a wrong structure has a higher score than a right one; equal ones count half."""
    if wrong.all() or not wrong.any():
        return float("nan")
    order = np.argsort(scores, kind="stable")
    values, ranks = scores[order], np.empty(len(scores))
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    ends = np.concatenate([starts[1:], [len(values)]])
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    n_wrong = int(wrong.sum())
    return float((ranks[wrong].sum() - n_wrong * (n_wrong + 1) / 2) / (n_wrong * (len(scores) - n_wrong)))


def look(name: str, subject: Subject, structures: list[tuple[str, ase.Atoms]]) -> Found:
    """Evaluate structures, and say how wrong and how odd they are."""
    model = subject.model
    reference = reference_calculator("GFN2-xTB") if name.endswith("_xtb") or name == "isomers" else None
    domain = known_domain(model.potentials)
    check = DomainCheck(domain) if domain is not None else None
    found = Found(rmse_of(model, subject.validation))
    for kind, atoms in structures:
        if not sensible(atoms) or not set(atoms.numbers) <= set(model.potential.elements):
            continue
        before = model.guard.count
        try:
            prediction = model.evaluate([atoms])[0]
        except SchNetCalcError:
            continue
        if atoms.calc is not None or reference is not None:
            error = force_error(prediction.forces, atoms, reference) / (WRONG * found.rmse)
        else:
            error = beyond(prediction.energy, len(atoms), subject.training)
        if not np.isfinite(error):
            continue
        found.errors.append(error)
        found.structures.append(atoms)
        found.kinds.append(kind)
        found.grades.append(0.0 if prediction.grades is None else float(prediction.grades.max()))
        found.doubted.append(model.guard.count > before)
        structure = Structure.from_atoms(atoms)
        pairs = check and model.lists.pairs(0, structure, check.reach(structure))
        found.in_words.append(bool(check and pairs and check.reasons(structure, pairs)))
        if subject.committee is not None:
            spread = subject.committee.evaluate([atoms])[0].forces_std
            found.spreads.append(float(np.linalg.norm(spread, axis=1).max()))
    return found


def beyond(energy: float, n_atoms: int, frames: Frames) -> float:
    """How far an energy, eV, lies outside of the range of frames, by its width; per atom where sizes differ."""
    share = frames.n_atoms if (frames.n_atoms != n_atoms).any() else np.ones(len(frames))
    known, value = frames.energies / share, energy / (n_atoms if share[0] != 1 else 1)
    low, high = np.nanmin(known), np.nanmax(known)
    return float(max(low - value, value - high) / (high - low))


def force_error(forces: NDArray[np.float64], atoms: ase.Atoms, reference: Calculator | None) -> float:
    """RMS error of the forces, eV/Å, by the atoms' own labels or the reference; not a number where it has none."""
    if atoms.calc is not None:
        return float(np.sqrt(np.mean((forces - atoms.calc.results["forces"]) ** 2)))
    work = atoms.copy()
    work.info.clear()
    work.calc = reference
    try:
        return float(np.sqrt(np.mean((forces - work.get_forces()) ** 2)))
    except Exception:  # tblite's self-consistency may fail far from everything
        return np.nan


def spread_over(frames: Frames, most: int) -> Frames:
    """At most so many of the frames, evenly spread over all."""
    return frames.select(np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int))


def rmse_of(model: Model, frames: Frames) -> float:
    """Of force components of frames, eV/Å; not a number where they have none."""
    some = spread_over(frames, 100)
    predicted = model.evaluate([some.structure(k) for k in range(len(some))])
    return float(np.sqrt(np.mean((np.concatenate([p.forces for p in predicted]) - some.forces) ** 2)))


def false_alarms(model: Model, frames: Frames, most: int = 1000) -> tuple[int, int]:
    """How many of unseen frames are doubted, and of how many."""
    some, before = spread_over(frames, most), model.guard.count
    for start in range(0, len(some), 100):
        model.evaluate([some.structure(k) for k in range(start, min(start + 100, len(some)))])
    return model.guard.count - before, len(some)


def missed(found: Found, least: float = 1.0) -> list[int]:
    """Which structures with an error above the least are not doubted."""
    return [k for k, error in enumerate(found.errors) if error > least and not found.doubted[k]]


def row(name: str, found: Found, hot: tuple[int, int], cold: tuple[int, int]) -> str:
    """A line of the table."""
    wrong, doubted = np.array(found.errors) > 1.0, np.array(found.doubted)
    very = int((np.array(found.errors) > VERY_WRONG / WRONG).sum())
    words = np.array(found.in_words)
    scores = [np.array(found.grades), words.astype(float), np.array(found.spreads)]
    areas = [f"{auroc(s, wrong):.3f}" if len(s) else "-" for s in scores]
    cells = [
        name,
        f"{found.rmse:.3f}",
        len(wrong),
        wrong.sum(),
        len(missed(found)),
        f"{len(missed(found, VERY_WRONG / WRONG))} of {very}",
        int((wrong & ~words).sum()),
        f"{hot[0]} of {hot[1]}",
        f"{cold[0]} of {cold[1]}",
        *areas,
        f"{(doubted & ~wrong).sum()} of {(~wrong).sum()}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


HEAD = (
    "| model | RMSE, eV/Å | structures | wrong | missed | very wrong missed | missed in words alone | "
    "doubted unseen | in dynamics at 300 K | AUROC: grade | in words | committee | doubted though right |\n|"
    + "---|"
    * 13
)


def subject_of(name: str, arguments: argparse.Namespace) -> Subject:
    """A shipped model with its data, or one that is made."""
    if name in MADE:
        models, frames, split, start = made(
            name, arguments.make, arguments.steps, arguments.members, arguments.frames
        )
        first = load_model(models[0], device="cpu")
        committee = load_model(models, device="cpu") if len(models) > 1 else None
    else:
        frames, split = frames_and_split(name)
        first, committee, start = load_model(name, device="cpu"), None, frames.atoms(int(split.test[0]))
        start.calc = None
    parts = [frames.select(rows) for rows in (split.train, split.validation, split.test)]
    return Subject(first, committee, *parts, start)


def frames_and_split(name: str, qm9: str = "qm9pack") -> tuple[Frames, Split]:
    """All data of a shipped model, and how its training split them; of QM9 where it lies."""
    if name in MADE_AGAIN:
        return MADE_AGAIN[name](find_model(name))
    config = RunConfig.from_toml(ROOT / "examples" / CONFIGS[name]).changed(changes(name, qm9))
    frames = read_data(config)
    if config.data.split in ("random", "blocks"):
        return frames, new_split(config.data, frames)
    return frames, Split.load(config.data.split)


def unseen_frames(name: str, qm9: str = "qm9pack") -> Frames:
    """Test frames of a shipped model, at the temperature of its training."""
    frames, split = frames_and_split(name, qm9)
    return frames.select(split.test)


def left_out(name: str) -> Iterator[tuple[str, ase.Atoms]]:
    """Labelled frames that a training left out: of silicon the melt and surfaces."""
    frames, split = frames_and_split(name)
    used = np.concatenate([split.train, split.validation, split.test])
    for k in np.setdiff1d(np.arange(len(frames)), used).tolist():
        yield "labelled melt or surface", frames.atoms(k)


def draw(figure: Path, results: dict[str, Found]) -> None:
    """Errors over grades, a panel for each model."""
    from schnet_calc import plots

    canvas, axes = plots.new_figure(3.2 * len(results), 3.0, len(results), squeeze=False)
    for axis, (name, found) in zip(np.ravel(axes), results.items(), strict=True):
        axis.loglog(np.maximum(found.grades, 1e-3), np.maximum(found.errors, 1e-3), ".", ms=2, alpha=0.5)
        axis.axvline(1.0, lw=0.8)
        axis.axhline(1.0, lw=0.8)
        axis.set(title=name, xlabel="largest grade", ylabel="error by what counts as wrong")
    plots.save_figure(canvas, figure)


def tell_missed(name: str, found: Found, file: Path | None) -> None:
    """Print how many wrong structures of each kind are not doubted, and write them."""
    which = missed(found)
    for kind, count in Counter(found.kinds[k] for k in which).items():
        print(f"  {count} missed: {kind}", flush=True)
    for k in which if file else ():
        atoms = found.structures[k].copy()
        atoms.info |= {"model": name, "kind": found.kinds[k], "grade": found.grades[k]}
        atoms.info["wrong"] = found.errors[k]
        ase.io.write(file, atoms, append=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[*MADE, *SHIPPED])
    parser.add_argument("--make", type=Path, default=Path("runs/guard"), help="folder of what is made")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--frames", type=int, default=800)
    parser.add_argument("--every", type=int, default=1, help="of the structures, to be quick")
    parser.add_argument("--dynamics", type=int, default=1000, help="frames at 300 K; 0 for none")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--missed", type=Path, help=".extxyz for what is wrong and not doubted")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results: dict[str, Found] = {}
    print(HEAD, flush=True)
    for name in arguments.only:
        subject = subject_of(name, arguments)
        structures = of_silicon() if name == "silicon" else of_molecule(subject.start)
        more = left_out(name) if name == "silicon" else ()
        found = look(name, subject, [*structures, *more][:: arguments.every])
        results[name] = found
        hot = false_alarms(subject.model, subject.test)
        count = arguments.dynamics
        cold = alarms_in_dynamics(subject.model, subject.start, frames=count)[:2] if count else (0, 0)
        print(row(name, found, hot, cold), flush=True)
        tell_missed(name, found, arguments.missed)
    if arguments.figure:
        draw(arguments.figure, results)


if __name__ == "__main__":
    main()
