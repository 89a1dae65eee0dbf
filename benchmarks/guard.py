"""What the guard misses, and what it doubts without need: thousands of strange structures.

    python benchmarks/guard.py --figure docs/_static/guard                # all
    python benchmarks/guard.py --only ethanol_xtb isomers --every 5       # quickly

``ethanol_xtb`` and ``c20_xtb`` are made first, committees of four trained on GFN2-xTB; for them and ``isomers``,
trained on it too, the force error of every structure is computed. So it is for cells of silicon's data that its
training left out. A structure is wrong from five times the RMSE of unseen frames on, very wrong from twenty times.
For the others it is wrong if its energy lies outside of the range of the data by more than the width of the range.
False alarms are counted in unseen frames at the temperature of the training, and in dynamics at 300 K.
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import ase
import numpy as np
from numpy.typing import NDArray

from alarms import alarms_in_dynamics
from guard_models import MADE, made
from schnet_calc import load_model
from schnet_calc.data import Frames, Split
from schnet_calc.errors import SchNetCalcError
from schnet_calc.guard.check import DomainCheck
from schnet_calc.guard.guard import known_domain
from schnet_calc.model import Model
from schnet_calc.references import reference_calculator
from schnet_calc.structures.structure import Structure
from schnet_calc.training.config import RunConfig
from schnet_calc.training.setup import new_split, read_data
from shipped_grades import CONFIGS, ROOT, changes
from strange import of_molecule, of_silicon, sensible

SHIPPED = (
    "c20",
    "c20_accurate",
    "ethanol",
    "malonaldehyde",
    "benzene",
    "uracil",
    "toluene",
    "h2co",
    "isomers",
    "silicon",
)
WRONG, VERY_WRONG = 5.0, 20.0
"""Times the RMSE of unseen frames."""


@dataclass
class Found:
    """What became of a model's structures."""

    kinds: list[str] = field(default_factory=list)
    grades: list[float] = field(default_factory=list)
    in_words: list[bool] = field(default_factory=list)
    """Whether today's checks of distances, neighbours, compositions and fragments doubt it."""
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


def look(
    name: str, model: Model, structures: list[tuple[str, ase.Atoms]], frames: Frames
) -> tuple[Found, float]:
    """Evaluate structures; errors in units of WRONG, and the RMSE of unseen frames if there is a reference."""
    reference = reference_calculator("GFN2-xTB") if name.endswith("_xtb") or name == "isomers" else None
    rmse = rmse_of(model, frames)
    energies = frames.energies
    low, high = np.nanmin(energies), np.nanmax(energies)
    domain = known_domain(model.potentials)
    check = DomainCheck(domain) if domain is not None else None
    found = Found()
    for kind, atoms in structures:
        if not sensible(atoms) or not set(atoms.numbers) <= set(model.potential.elements):
            continue
        try:
            prediction = model.evaluate([atoms])[0]
        except SchNetCalcError:
            continue
        if atoms.calc is not None:
            error = float(np.sqrt(np.mean((prediction.forces - atoms.calc.results["forces"]) ** 2)))
            found.errors.append(error / (WRONG * rmse))
        elif reference is not None:
            error = force_error(prediction.forces, atoms, reference)
            if error is None:
                continue
            found.errors.append(error / (WRONG * rmse))
        elif len(atoms) == frames.n_atoms[0] and (frames.n_atoms == len(atoms)).all():
            beyond = max(low - prediction.energy, prediction.energy - high)
            found.errors.append(beyond / (high - low))
        else:
            per_atom = energies / frames.n_atoms
            width = np.ptp(per_atom)
            value = prediction.energy / len(atoms)
            found.errors.append(max(per_atom.min() - value, value - per_atom.max()) / width)
        structure = Structure.from_atoms(atoms)
        found.kinds.append(kind)
        first = prediction.members[0] if prediction.members else prediction
        grades = np.zeros(1) if first.grades is None else first.grades
        found.grades.append(float(grades.max()))
        if check is not None:
            pairs = model.lists.pairs(0, structure, check.reach(structure))
            found.in_words.append(bool(check.reasons(structure, pairs)))
        if prediction.members:
            found.spreads.append(float(np.linalg.norm(prediction.forces_std, axis=1).max()))
    return found, rmse


def force_error(forces: NDArray[np.float64], atoms: ase.Atoms, reference: object) -> float | None:
    """RMS error of the forces, eV/Å; None where the reference has none."""
    work = atoms.copy()
    work.info.clear()
    work.calc = reference
    try:
        return float(np.sqrt(np.mean((forces - work.get_forces()) ** 2)))
    except Exception:  # tblite's self-consistency may fail far from everything
        return None


def rmse_of(model: Model, frames: Frames) -> float:
    """Of force components of frames, eV/Å; not a number where they have none."""
    some = np.linspace(0, len(frames) - 1, min(100, len(frames))).astype(int)
    predicted = model.evaluate([frames.structure(int(k)) for k in some])
    errors = [p.forces - frames.forces[frames.rows(int(k))] for p, k in zip(predicted, some, strict=True)]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def false_alarms(model: Model, frames: Frames, most: int = 1000) -> tuple[int, int]:
    """How many of unseen frames are doubted, and of how many."""
    chosen = np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int)
    before = model.guard.count
    for start in range(0, len(chosen), 100):
        model.evaluate([frames.structure(int(k)) for k in chosen[start : start + 100]])
    return model.guard.count - before, len(chosen)


def missed_by_kind(found: Found) -> dict[str, int]:
    """How many wrong structures of each kind are not doubted."""
    words = found.in_words or [False] * len(found.grades)
    missed = (
        kind
        for kind, error, grade, word in zip(found.kinds, found.errors, found.grades, words, strict=True)
        if error > 1.0 and not (grade > 1.0 or word)
    )
    return dict(Counter(missed))


def row(name: str, found: Found, rmse: float, hot: tuple[int, int], cold: tuple[int, int]) -> str:
    """A line of the table."""
    errors, grades = np.array(found.errors), np.array(found.grades)
    words = np.array(found.in_words) if found.in_words else np.zeros(len(grades), dtype=bool)
    wrong, doubted = errors > 1.0, (grades > 1.0) | words
    very = errors > VERY_WRONG / WRONG
    missed, missed_very = int((wrong & ~doubted).sum()), int((very & ~doubted).sum())
    by_words = int((wrong & ~words).sum())
    committee = f"{auroc(np.array(found.spreads), wrong):.3f}" if found.spreads else "-"
    cells = [
        name,
        f"{rmse:.3f}",
        len(errors),
        wrong.sum(),
        missed,
        f"{missed_very} of {very.sum()}",
        by_words,
        f"{hot[0]} of {hot[1]}",
        f"{cold[0]} of {cold[1]}",
        f"{auroc(grades, wrong):.3f}",
        f"{auroc(words.astype(float), wrong):.3f}",
        committee,
        f"{(doubted & ~wrong).sum()} of {(~wrong).sum()}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


HEAD = (
    "| model | RMSE, eV/Å | structures | wrong | missed | very wrong missed | missed in words alone | "
    "doubted unseen | in dynamics at 300 K | AUROC: grade | in words | committee | doubted though right |\n|"
    + "---|"
    * 13
)


def frames_and_split(name: str) -> tuple[Frames, Split]:
    """All data of a shipped model, and how its training split them."""
    config = RunConfig.from_toml(ROOT / "examples" / CONFIGS[name]).changed(changes(name, "qm9pack"))
    frames = read_data(config)
    if config.data.split in ("random", "blocks"):
        return frames, new_split(config.data, frames)
    return frames, Split.load(config.data.split)


def unseen_frames(name: str) -> Frames:
    """Test frames of a shipped model, at the temperature of its training."""
    frames, split = frames_and_split(name)
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[*MADE, *SHIPPED])
    parser.add_argument(
        "--make", type=Path, default=Path("runs/guard"), help="folder of models that are made"
    )
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--frames", type=int, default=800)
    parser.add_argument("--every", type=int, default=1, help="of the structures, to be quick")
    parser.add_argument("--dynamics", type=int, default=1000, help="frames of dynamics at 300 K")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results: dict[str, Found] = {}
    print(HEAD, flush=True)
    for name in arguments.only:
        if name in MADE:
            model, frames, start = made(
                name, arguments.make, arguments.steps, arguments.members, arguments.frames
            )
        else:
            model, frames = load_model(name, device="cpu"), unseen_frames(name)
            start = frames.atoms(0)
            start.calc = None
        structures = [*of_silicon(), *left_out(name)] if name == "silicon" else list(of_molecule(start))
        found, rmse = look(name, model, structures[:: arguments.every], frames)
        results[name] = found
        hot = false_alarms(model, frames)
        cold = alarms_in_dynamics(model, start, frames=arguments.dynamics)
        print(row(name, found, rmse, hot, cold[:2]), flush=True)
        for kind, count in missed_by_kind(found).items():
            print(f"  {count} missed: {kind}", flush=True)
    if arguments.figure:
        draw(arguments.figure, results)


if __name__ == "__main__":
    main()
