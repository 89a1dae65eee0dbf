"""What the guard misses, and what it doubts without need: thousands of strange structures.

    python benchmarks/guard.py                      # the shipped models
    python benchmarks/guard.py --make runs/guard    # and models made from GFN2-xTB
    python benchmarks/guard.py --only isomers --figure runs/guard.png

For models of GFN2-xTB (``isomers``, and those that ``--make`` trains, four of each) the force error of every
structure is computed; a structure is wrong from five times the RMSE of unseen frames on, very wrong from twenty
times. For the others it is wrong if its energy lies outside of the range of the data by more than the width of
the range. False alarms are counted in unseen frames at the temperature of the training.
"""

import argparse
import os
from dataclasses import dataclass, field
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from numpy.typing import NDArray
from schnet_calc.simulate.reference import reference_calculator

from schnet_calc import load_model
from schnet_calc.data import Frames, Split, read_frames
from schnet_calc.errors import SchNetCalcError
from schnet_calc.guard.check import DomainCheck
from schnet_calc.guard.guard import known_domain
from schnet_calc.model import Model
from schnet_calc.simulate.relax import relax
from schnet_calc.structures.structure import Structure
from schnet_calc.training import train
from schnet_calc.training.config import RunConfig
from schnet_calc.training.setup import new_split, read_data
from shipped_grades import CONFIGS, DATA, ROOT, changes
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
    "silicon",
)
MADE = {"ethanol_xtb": "CH3CH2OH", "isobutene_xtb": "isobutene", "c20_xtb": "C20"}
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
        if reference is not None:
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


def row(name: str, found: Found, rmse: float, alarms: tuple[int, int]) -> str:
    """A line of the table."""
    errors, grades = np.array(found.errors), np.array(found.grades)
    words = np.array(found.in_words) if found.in_words else np.zeros(len(grades), dtype=bool)
    wrong, doubted = errors > 1.0, (grades > 1.0) | words
    very = errors > VERY_WRONG / WRONG
    missed, missed_very = int((wrong & ~doubted).sum()), int((very & ~doubted).sum())
    by_words = int((wrong & ~words).sum())
    committee = f"{auroc(np.array(found.spreads), wrong):.3f}" if found.spreads else "-"
    return (
        f"| {name} | {len(errors)} | {wrong.sum()} | {missed} | {missed_very} of {very.sum()} | {by_words} | "
        f"{alarms[0]} of {alarms[1]} | {auroc(grades, wrong):.3f} | {auroc(words.astype(float), wrong):.3f} | "
        f"{committee} | {(doubted & ~wrong).sum()} of {(~wrong).sum()} |"
    )


HEAD = (
    "| model | structures | wrong | of these missed | very wrong missed | missed without grades | false alarms | "
    "AUROC: grade | in words | committee | doubted though right |\n|" + "---|" * 11
)


def unseen_frames(name: str) -> Frames:
    """Test frames of a shipped model, at the temperature of its training."""
    config = RunConfig.from_toml(ROOT / "examples" / CONFIGS[name]).changed(changes(name, "qm9pack"))
    frames = read_data(config)
    if config.data.split in ("random", "blocks"):
        split = new_split(config.data, frames)
    else:
        split = Split.load(config.data.split)
    return frames.select(split.test)


def made(name: str, folder: Path, steps: int, count: int, n_frames: int) -> tuple[Model, Frames, ase.Atoms]:
    """Models of GFN2-xTB for a molecule: frames of Langevin dynamics at 500 K, a committee trained on them."""
    folder.mkdir(parents=True, exist_ok=True)
    start = first_structure(MADE[name])
    start.calc = reference_calculator("GFN2-xTB")
    relaxed = relax(start).atoms if MADE[name] != "C20" else start
    path = folder / f"{name}.extxyz"
    if not path.exists():
        write_frames(path, relaxed, n_frames)
    sources = []
    for seed in range(count):
        where = folder / f"{name}_{seed}"
        if not (where / "model.pt").exists():
            config = RunConfig.from_toml(ROOT / "examples" / "md17" / "ethanol.toml")
            train(
                config,
                where,
                file=str(path),
                steps=steps,
                seed=seed,
                n_train=n_frames // 2,
                n_validation=n_frames // 8,
            )
        sources.append(where / "model.pt")
    frames = read_frames(path)
    return (
        Model(sources, device="cpu"),
        frames.select(Split.load(folder / f"{name}_0" / "split.npz").test),
        relaxed,
    )


def first_structure(name: str) -> ase.Atoms:
    """A molecule by name; C20 from the data of the thesis's study."""
    if name != "C20":
        return molecule(name)
    data = np.load(DATA / "c20" / "c20_500K.npz")
    return ase.Atoms(numbers=data["z"], positions=data["R"][0].astype(float))


def write_frames(path: Path, start: ase.Atoms, n_frames: int) -> None:
    """Frames 10 fs apart at 500 K, with energies and forces."""
    atoms = start.copy()
    atoms.calc = reference_calculator("GFN2-xTB")
    rng = np.random.default_rng(0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=500, rng=rng)
    dynamics = Langevin(atoms, 0.5 * units.fs, temperature_K=500, friction=0.02 / units.fs, rng=rng)
    dynamics.run(200)
    images = []
    for _ in range(n_frames):
        dynamics.run(20)
        images.append(atoms.copy())
        images[-1].calc = SinglePointCalculator(
            images[-1], energy=atoms.get_potential_energy(), forces=atoms.get_forces()
        )
    ase.io.write(path, images)


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
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--make", type=Path, help="folder of the models that are made from GFN2-xTB")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--every", type=int, default=1, help="of the structures, to be quick")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results: dict[str, Found] = {}
    print(HEAD, flush=True)
    for name in arguments.only or [*SHIPPED, *(MADE if arguments.make else ())]:
        if name in MADE:
            model, frames, start = made(
                name, arguments.make, arguments.steps, arguments.members, arguments.frames
            )
        else:
            model, frames = load_model(name, device="cpu"), unseen_frames(name)
            start = frames.atoms(0)
        structures = list(of_silicon() if name == "silicon" else of_molecule(start))[:: arguments.every]
        found, rmse = look(name, model, structures, frames)
        results[name] = found
        print(row(name, found, rmse, false_alarms(model, frames)), flush=True)
    if arguments.figure:
        draw(arguments.figure, results)


if __name__ == "__main__":
    main()
