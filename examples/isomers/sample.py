"""``iso17-xtb``: isomers in motion after Section 5.1.3 of the thesis, a surrogate of ISO17 with GFN2-xTB labels.

    python examples/isomers/sample.py runs/isomers

129 of QM9's isomers of C7H10O2 are drawn, each moves at 500 K (half an hour; extras qm9 and xtb). Four in five
molecules are known: frames of theirs are trained on. The others are only tested. The folder gets frames.npz and
split.npz, which ``schnet-calc reproduce isomers --data`` takes; interrupted, it goes on.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase import units
from ase.calculators.calculator import CalculationFailed
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from numpy.typing import NDArray

from schnet_calc.data import Split
from schnet_calc.data.qm9 import read_qm9
from schnet_calc.folders import replaced
from schnet_calc.references import reference_calculator
from schnet_calc.studies.isomers import FORMULA, are_isomers

N_MOLECULES, N_KNOWN = 129, 103
"""As in ISO17; four in five are trained on."""
METHOD, THEORY = "gfn2-xtb", "GFN2-xTB (iso17-xtb, a surrogate of ISO17's PBE+vdW-TS)"
TEMPERATURE = 500.0
"""K"""
TIMESTEP = 1.0
"""fs"""
SETTLING, INTERVAL, N_FRAMES = 100, 15, 40
"""Steps before the first frame, steps from frame to frame, and frames of a molecule."""
KEYS = ("R", "E", "F")
"""Of the arrays of a molecule: positions in Å, energies in eV, forces in eV/Å."""


def draw_isomers(qm9: str | Path = "qm9pack", seed: int = 0) -> Iterator[ase.Atoms]:
    """Yield QM9's isomers of C7H10O2 in random order, atoms sorted by element; ``info["row"]`` is QM9's row.

    Parameters
    ----------
    qm9 : path
        As for :func:`~schnet_calc.data.qm9.read_qm9`.
    seed : int
        Of the order.
    """
    frames = read_qm9(Path(qm9))
    for row in np.random.default_rng(seed).permutation(np.flatnonzero(are_isomers(frames))).tolist():
        atoms = frames.atoms(row)
        atoms = ase.Atoms(atoms.numbers, atoms.positions)[np.argsort(atoms.numbers, kind="stable")]
        atoms.info["row"] = row
        yield atoms


def move(
    atoms: ase.Atoms, calculator: Any, seed: int, n_frames: int = N_FRAMES
) -> dict[str, NDArray[np.float64]] | None:
    """Return frames of a molecule's dynamics at 500 K, arrays (M, ...) by :data:`KEYS`; None if labels fail.

    Parameters
    ----------
    atoms : Atoms
        The start.
    calculator : Calculator
        Any of ASE's, with energies and forces.
    seed : int
        Of velocities and thermostat.
    n_frames : int
        How many.
    """
    rng = np.random.default_rng(seed)
    moving = atoms.copy()
    moving.calc = calculator
    thermalize_momenta(moving, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(
        moving,
        TIMESTEP * units.fs,
        temperature_K=TEMPERATURE,
        friction=0.02 / units.fs,
        fixcm=False,
        rng=rng,
    )
    kept: dict[str, list[Any]] = {key: [] for key in KEYS}
    try:
        dynamics.run(SETTLING)
        for _ in range(n_frames):
            dynamics.run(INTERVAL)
            kept["R"].append(moving.get_positions())
            kept["E"].append(moving.get_potential_energy())
            kept["F"].append(moving.get_forces())
    except (CalculationFailed, RuntimeError):  # tblite raises either, as the self-consistency fails
        return None
    return {key: np.array(values) for key, values in kept.items()}


def sample_isomers(
    folder: str | Path,
    qm9: str | Path = "qm9pack",
    n_molecules: int = N_MOLECULES,
    n_frames: int = N_FRAMES,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Path, Path]:
    """Compute the data: ``frames.npz`` with all frames and ``split.npz`` with what is trained on.

    A molecule that is done is kept in the folder, so that an interrupted run goes on; one whose labels fail
    gives way to the next.

    Parameters
    ----------
    folder : path
        Where to write.
    qm9 : path
        As for :func:`~schnet_calc.data.qm9.read_qm9`.
    n_molecules, n_frames : int
        How many, and how many frames of each.
    progress : callable, optional
        Called with a label, molecules done, and their number.

    Returns
    -------
    tuple of Path
        Frames and split.
    """
    place = Path(folder) / "molecules"
    place.mkdir(parents=True, exist_ok=True)
    calculator = reference_calculator(METHOD)
    kept: list[dict[str, NDArray[np.float64]]] = []
    rows: list[int] = []
    for k, atoms in enumerate(draw_isomers(qm9)):
        if len(kept) == n_molecules:
            break
        found = _kept_or_computed(place / f"{atoms.info['row']}.npz", atoms, calculator, k, n_frames)
        if len(found["E"]):
            kept.append(found)
            rows.append(atoms.info["row"])
        if progress is not None:
            progress("molecules", len(kept), n_molecules)
    return _write(Path(folder), kept, rows, n_frames)


def _kept_or_computed(
    path: Path, atoms: ase.Atoms, calculator: Any, seed: int, n_frames: int
) -> dict[str, NDArray[np.float64]]:
    """Frames of a molecule; none, which is kept too, where the labels failed."""
    if not path.exists():
        found = move(atoms, calculator, seed, n_frames) or {key: np.zeros(0) for key in KEYS}
        with replaced(path) as scratch, scratch.open("wb") as stream:
            np.savez(stream, **found)  # type: ignore[arg-type]
    with np.load(path) as archive:
        return {key: archive[key] for key in KEYS}


def _write(
    folder: Path, kept: list[dict[str, NDArray[np.float64]]], rows: list[int], n_frames: int
) -> tuple[Path, Path]:
    paths = folder / "frames.npz", folder / "split.npz"
    with replaced(paths[0]) as scratch, scratch.open("wb") as stream:
        np.savez_compressed(
            stream,
            z=np.repeat(sorted(FORMULA), [FORMULA[z] for z in sorted(FORMULA)]),
            R=np.concatenate([f["R"] for f in kept]).astype(np.float32),
            E=np.concatenate([f["E"] for f in kept]),
            F=np.concatenate([f["F"] for f in kept]).astype(np.float32),
            qm9_row=np.repeat(rows, n_frames),
            name="iso17-xtb",
            theory=THEORY,
            e_unit="eV",
            r_unit="Ang",
        )
    split_isomers(len(kept), n_frames).save(paths[1])
    return paths


def split_isomers(n_molecules: int, n_frames: int, seed: int = 0) -> Split:
    """Return the split: of the known molecules 75 % of the frames to train, 5 % to validate; the rest is the test.

    Parameters
    ----------
    n_molecules, n_frames : int
        Of molecules, the last fifth of which is unknown, and of frames of each.
    seed : int
        Of the draw within the molecules.
    """
    n_known = round(n_molecules * N_KNOWN / N_MOLECULES)
    n_train, n_validation = round(0.75 * n_frames), max(round(0.05 * n_frames), 1)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(n_frames) + k * n_frames for k in range(n_known)]
    train = np.concatenate([order[:n_train] for order in orders])
    validation = np.concatenate([order[n_train : n_train + n_validation] for order in orders])
    test = np.setdiff1d(np.arange(n_molecules * n_frames), np.concatenate([train, validation]))
    return Split(train, validation, test)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="gets frames.npz and split.npz")
    sample_isomers(parser.parse_args().folder, progress=lambda *done: print(*done))
