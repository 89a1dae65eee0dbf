"""What a model predicts: energies, their derivatives, committees, errors on labelled frames."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import ase
import ase.io
import numpy as np
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from schnet_calc import SchNetCalculator
from schnet_calc.data import read_frames
from schnet_calc.simulate.neb import relax_band
from schnet_calc.simulate.relax import relax
from schnet_calc.training.evaluation import evaluate
from verification import row

SECTION = "Energies and their derivatives"
STEP = 1e-4
CHAIN = (0, 1, 2, 3)
"""C, C, O and H of ethanol."""


def calculator(name: str, engine: str = "auto") -> SchNetCalculator:
    """A shipped model in float64."""
    return SchNetCalculator(name, device="cpu", dtype="float64", engine=engine, on_doubt="ignore")


def distorted(name: str = "CH3CH2OH") -> ase.Atoms:
    """A molecule off its minimum."""
    atoms = molecule(name)
    atoms.rattle(0.05, seed=1)
    return atoms


def sheared() -> ase.Atoms:
    """Silicon off its minimum, in a cell smaller than the cutoff."""
    atoms = bulk("Si", a=5.4)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * np.arange(9).reshape(3, 3) / 9), scale_atoms=True)
    atoms.rattle(0.05, seed=2)
    return atoms


def differences(atoms: ase.Atoms, function) -> np.ndarray:
    """Central differences of a function of the structure by all coordinates, (3N, ...)."""
    found = []
    for k in range(3 * len(atoms)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.ravel()[k] += sign * STEP
            ends.append(np.asarray(function(moved)))
        found.append((ends[0] - ends[1]) / (2 * STEP))
    return np.array(found)


@row(
    SECTION,
    "energy and forces of ethanol, compiled engine",
    "TorchScript by automatic differentiation",
    tolerance=1e-5,
    unit="eV, eV/Å",
)
def engines():
    both = []
    for engine in ("compiled", "script"):
        atoms = distorted()
        atoms.calc = calculator("ethanol", engine)
        both.append([atoms.get_potential_energy(), *atoms.get_forces().ravel()])
    return tuple(both)


@row(SECTION, "forces on ethanol", "central differences of the energy", tolerance=1e-5, unit="eV/Å")
def forces():
    model = calculator("ethanol")
    atoms = distorted()
    return model.get_forces(atoms).ravel(), -differences(atoms, model.get_potential_energy)


@row(
    SECTION,
    "stress of strained silicon",
    "central differences of the energy by strain",
    tolerance=1e-7,
    unit="eV/Å³",
)
def stress():
    model, atoms = calculator("silicon"), sheared()
    theirs = []
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += 0.5 * sign * STEP
            strain[b, a] += 0.5 * sign * STEP
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            ends.append(model.get_potential_energy(moved))
        theirs.append((ends[0] - ends[1]) / (2 * STEP * atoms.get_volume()))
    return model.get_stress(atoms), theirs


@row(
    SECTION,
    "Hessian of ethanol",
    "central differences of the forces",
    tolerance=1e-4,
    unit="eV/Å²",
    slow=True,
)
def hessian():
    model, atoms = calculator("ethanol"), distorted()
    return model.hessian(atoms), -differences(atoms, lambda a: model.get_forces(a).ravel())


@row(
    SECTION,
    "derivative of the dipole of H2CO",
    "central differences of the dipole",
    tolerance=1e-5,
    unit="e",
    slow=True,
)
def dipole():
    model, atoms = calculator("h2co"), distorted("H2CO")
    return model.model.derivative(atoms, "dipole"), differences(atoms, model.get_dipole_moment)


@row(
    SECTION,
    "committee of two: energy and forces of ethanol",
    "mean of the two",
    tolerance=1e-9,
    unit="eV, eV/Å",
)
def committee():
    found = []
    for names in (["ethanol", "ethanol_dtnn"], ["ethanol"], ["ethanol_dtnn"]):
        atoms = distorted()
        atoms.calc = SchNetCalculator(names, device="cpu", dtype="float64", on_doubt="ignore")
        found.append(np.array([atoms.get_potential_energy(), *atoms.get_forces().ravel()]))
    return found[0], 0.5 * (found[1] + found[2])


@row(
    SECTION,
    "evaluation: MAE and RMSE of energy and force components, 12 frames of ethanol",
    "NumPy, frame by frame",
    tolerance=1e-6,
    unit="eV, eV/Å",
)
def evaluation():
    model, frames = calculator("ethanol"), []
    for seed in range(12):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.05, seed=seed)
        labels = SinglePointCalculator(
            atoms, energy=EMT().get_potential_energy(atoms) - 4200.0, forces=EMT().get_forces(atoms)
        )
        atoms.calc = labels
        frames.append(atoms)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frames.extxyz"
        ase.io.write(path, frames)
        errors = evaluate(model, read_frames(path)).errors
    e = np.array([model.get_potential_energy(a) - a.get_potential_energy() for a in frames])
    f = np.array([model.get_forces(a) - a.get_forces() for a in frames])
    theirs = [np.abs(e).mean(), np.sqrt((e**2).mean()), np.abs(f).mean(), np.sqrt((f**2).mean())]
    return [
        errors["energy"].mae,
        errors["energy"].rmse,
        errors["forces"].mae,
        errors["forces"].rmse,
    ], theirs


@cache
def hydroxyl_rotation():
    """The model of ethanol, and the band from its anti to its gauche minimum."""
    model = calculator("ethanol")
    first = relax(molecule("CH3CH2OH"), model, 1e-3).atoms
    turned = first.copy()
    turned.set_dihedral(*CHAIN, 60.0, indices=[CHAIN[-1]])
    return model, relax_band(
        first, relax(turned, model, 1e-3).atoms, model, n_images=7, fmax=0.01, steps=400
    )


@row(
    SECTION,
    "barrier from anti to gauche ethanol, NEB",
    "stationary point by Newton steps on the Hessian",
    tolerance=1e-3,
    unit="eV",
    slow=True,
)
def barrier():
    model, band = hydroxyl_rotation()
    atoms = band.images[int(band.energies.argmax())].copy()
    for _ in range(12):
        values, vectors = np.linalg.eigh(model.hessian(atoms))
        kept = np.abs(values) > 1e-2
        along = vectors[:, kept].T @ model.get_forces(atoms).ravel()
        atoms.positions += (vectors[:, kept] @ (along / values[kept])).reshape(-1, 3)
    assert np.abs(model.get_forces(atoms)).max() < 1e-4
    assert np.linalg.eigvalsh(model.hessian(atoms))[0] < -0.01
    return band.barrier, model.get_potential_energy(atoms) - model.get_potential_energy(band.images[0])
