"""One reader per layout of labelled data, all ending in :class:`Frames`."""

import zipfile
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import units
from ase.io.formats import UnknownFileTypeError
from numpy.typing import NDArray

from schnet_calc.data.frames import Frames
from schnet_calc.data.labels import find_label, label_keys
from schnet_calc.data.stress import StressLabels, read_virials

ENERGY_UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "Hartree": units.Hartree,
}
LENGTH_UNITS = {"Ang": 1.0, "Bohr": units.Bohr, "nm": 10.0}

NPZ_LAYOUTS = {
    "MD17/sGDML": {"positions": "R", "numbers": "z", "energies": "E", "forces": "F"},
    "rMD17": {
        "positions": "coords",
        "numbers": "nuclear_charges",
        "energies": "energies",
        "forces": "forces",
    },
}


def read_frames(
    path: str | Path,
    *,
    energy_key: str = "energy",
    forces_key: str = "forces",
    energy_unit: str | None = None,
    length_unit: str | None = None,
    stress_key: str = "",
    stress_convention: str = "ase",
    stress_unit: str | None = None,
) -> Frames:
    """Read labelled structures and convert them to eV and Å.

    Parameters
    ----------
    path : path
        ``.npz`` in the layout of MD17/sGDML or rMD17, or anything that ``ase.io.read`` reads.
    energy_key, forces_key : str
        For files read by ASE: the keys of the labels, in ``info``/``arrays`` or from a calculator.
    energy_unit, length_unit : str, optional
        One of :data:`ENERGY_UNITS` and :data:`LENGTH_UNITS`. By default what the file says
        (``e_unit``, ``r_unit``), else kcal/mol and Å for npz, eV and Å for others.
    stress_key, stress_convention, stress_unit : str, optional
        For files read by ASE: the key of the stresses, if they are to be read, and how it is written;
        see :class:`~schnet_calc.data.stress.StressLabels`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Missing keys, shapes that don't fit, values that are not finite, unknown units.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no data file {path}")
    stress = StressLabels(stress_key, stress_convention, stress_unit) if stress_key else None
    if path.suffix == ".npz":
        if stress:
            raise ValueError(f"{path}: stresses are read from files that ASE reads, not from npz")
        return _read_npz(path, energy_unit, length_unit)
    return _read_ase(path, energy_key, forces_key, energy_unit or "eV", length_unit or "Ang", stress)


def read_structure(path: str | Path) -> ase.Atoms:
    """The last structure of a file that ASE reads; errors name the file."""
    return _read_images(Path(path), "-1")


def read_structures(path: str | Path) -> list[ase.Atoms]:
    """All structures of a file that ASE reads, or of an MD17 ``.npz``; errors name the file."""
    path = Path(path)
    if path.suffix == ".npz":
        frames = _read_npz(path, None, None)
        return [frames.atoms(k) for k in range(len(frames))]
    images: list[ase.Atoms] = _read_images(path, ":")
    return images


def _read_images(path: Path, index: str) -> Any:
    try:
        return ase.io.read(path, index=index)
    except UnknownFileTypeError as error:
        raise ValueError(f"{path}: ASE knows no such format ({error})") from error


def _factor(table: dict[str, float], kind: str, name: str) -> float:
    if name not in table:
        raise ValueError(f"unknown {kind} unit {name!r}; known are {', '.join(table)}")
    return table[name]


def _read_npz(path: Path, energy_unit: str | None, length_unit: str | None) -> Frames:
    try:
        with np.load(path, allow_pickle=False) as archive:
            data = {key: archive[key] for key in archive.files}
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path} is no npz archive, or cut short ({error})") from error
    layout = next((keys for keys in NPZ_LAYOUTS.values() if set(keys.values()) <= set(data)), None)
    if layout is None:
        wanted = "; ".join(f"{name}: {', '.join(k.values())}" for name, k in NPZ_LAYOUTS.items())
        raise ValueError(f"{path} holds the keys {sorted(data)}, but a layout needs ({wanted})")
    positions, forces = data[layout["positions"]], data[layout["forces"]]
    numbers, energies = data[layout["numbers"]].ravel(), data[layout["energies"]].ravel()
    n_frames, n_atoms = len(energies), len(numbers)
    for name, values in (("positions", positions), ("forces", forces)):
        if values.shape != (n_frames, n_atoms, 3):
            raise ValueError(
                f"{path}: {name} have the shape {values.shape}, "
                f"but energies and numbers ask for {(n_frames, n_atoms, 3)}"
            )
    energy_unit = energy_unit or str(data.get("e_unit", "kcal/mol"))
    length_unit = length_unit or str(data.get("r_unit", "Ang"))
    ev = _factor(ENERGY_UNITS, "energy", energy_unit)
    ang = _factor(LENGTH_UNITS, "length", length_unit)
    return Frames(
        offsets=np.arange(n_frames + 1, dtype=np.int64) * n_atoms,
        numbers=np.tile(numbers.astype(np.int64), n_frames),
        positions=positions.reshape(-1, 3).astype(float) * ang,
        energies=energies.astype(float) * ev,
        forces=forces.reshape(-1, 3).astype(float) * (ev / ang),
        cells=np.zeros((n_frames, 3, 3)),
        pbc=np.zeros((n_frames, 3), dtype=bool),
        info={
            "name": str(data.get("name", path.stem)),
            "theory": str(data.get("theory", "not stated in the file")),
            "file": path.name,
        },
    )


def _read_ase(
    path: Path,
    energy_key: str,
    forces_key: str,
    energy_unit: str,
    length_unit: str,
    stress: StressLabels | None,
) -> Frames:
    ev = _factor(ENERGY_UNITS, "energy", energy_unit)
    ang = _factor(LENGTH_UNITS, "length", length_unit)
    images = _read_images(path, ":")
    if not images:
        raise ValueError(f"{path} holds no structures")
    energies, forces = [], []
    for k, atoms in enumerate(images):
        energies.append(float(_label(path, k, atoms, energy_key)))
        force = np.asarray(_label(path, k, atoms, forces_key), dtype=float)
        if force.shape != (len(atoms), 3):
            raise ValueError(
                f"{path}, frame {k}: {forces_key} has the shape {force.shape}, "
                f"but {len(atoms)} atoms ask for {(len(atoms), 3)}"
            )
        forces.append(force)
    return Frames(
        offsets=np.concatenate([[0], np.cumsum([len(a) for a in images])]).astype(np.int64),
        numbers=np.concatenate([a.numbers for a in images]).astype(np.int64),
        positions=np.concatenate([a.positions for a in images]) * ang,
        energies=np.array(energies) * ev,
        forces=np.concatenate(forces) * (ev / ang),
        cells=np.array([a.cell.array for a in images]) * ang,
        pbc=np.array([a.pbc for a in images]),
        info={
            "name": path.stem,
            "theory": str(images[0].info.get("theory", "not stated in the file")),
            "file": path.name,
        },
        virials=read_virials(path, images, stress, ang) if stress else None,
    )


def _label(path: Path, k: int, atoms: ase.Atoms, key: str) -> NDArray[np.float64] | float:
    found = find_label(atoms, key)
    if found is None:
        raise ValueError(f"{path}, frame {k}: no {key!r}; it has {label_keys(atoms)}")
    return found
