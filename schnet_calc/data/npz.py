"""Files of MD17, sGDML and rMD17."""

from pathlib import Path

import numpy as np

from schnet_calc.data.archives import load_arrays
from schnet_calc.data.frames import Frames
from schnet_calc.data.properties import ENERGY_UNITS, LENGTH_UNITS
from schnet_calc.errors import DataError

LAYOUTS = {
    "MD17/sGDML": {"positions": "R", "numbers": "z", "energies": "E", "forces": "F"},
    "rMD17": {
        "positions": "coords",
        "numbers": "nuclear_charges",
        "energies": "energies",
        "forces": "forces",
    },
}
"""Keys of the arrays; energies or forces may be missing."""


def read_npz(path: Path, energy_unit: str | None, length_unit: str | None) -> Frames:
    """Read a file in one of :data:`LAYOUTS`; arguments and errors as for :func:`~schnet_calc.data.read_frames`."""
    data = load_arrays(path)
    layout = next((k for k in LAYOUTS.values() if {k["positions"], k["numbers"]} <= set(data)), None)
    if layout is None or not {layout["energies"], layout["forces"]} & set(data):
        wanted = "; ".join(f"{name}: {', '.join(k.values())}" for name, k in LAYOUTS.items())
        raise DataError(f"{path} holds the keys {sorted(data)}, but a layout needs ({wanted})")
    positions, numbers = data[layout["positions"]], data[layout["numbers"]].ravel()
    if positions.ndim != 3 or positions.shape[1:] != (len(numbers), 3):
        raise DataError(
            f"{path}: positions have the shape {positions.shape}, "
            f"but {len(numbers)} atomic numbers ask for (M, {len(numbers)}, 3)"
        )
    n_frames, n_atoms = positions.shape[:2]
    ev = _factor(ENERGY_UNITS, "energy", energy_unit or str(data.get("e_unit", "kcal/mol")))
    ang = _factor(LENGTH_UNITS, "length", length_unit or str(data.get("r_unit", "Ang")))
    labels = _labels(path, data, layout, positions.shape, ev, ang)
    return Frames(
        offsets=np.arange(n_frames + 1, dtype=np.int64) * n_atoms,
        numbers=np.tile(numbers.astype(np.int64), n_frames),
        positions=positions.reshape(-1, 3).astype(float) * ang,
        cells=np.zeros((n_frames, 3, 3)),
        pbc=np.zeros((n_frames, 3), dtype=bool),
        labels=labels,
        info={
            "name": str(data.get("name", path.stem)),
            "theory": str(data.get("theory", "not stated in the file")),
            "file": path.name,
        },
    )


def _labels(
    path: Path,
    data: dict[str, np.ndarray],
    layout: dict[str, str],
    shape: tuple[int, ...],
    ev: float,
    ang: float,
) -> dict[str, np.ndarray]:
    """Energies (M,) and forces (A, 3), whatever there is, in eV and Å."""
    labels = {}
    for name, key, wanted, factor in (
        ("energy", layout["energies"], shape[:1], ev),
        ("forces", layout["forces"], shape, ev / ang),
    ):
        if key not in data:
            continue
        values = data[key].astype(float)
        values = values.ravel() if name == "energy" else values
        if values.shape != wanted:
            raise DataError(f"{path}: {name} have the shape {values.shape}, but positions ask for {wanted}")
        if not np.isfinite(values).all():
            where = np.argwhere(~np.isfinite(values))[0].tolist()
            raise DataError(f"{path}: {name} hold a value that is not finite, at index {where}")
        labels[name] = (values if name == "energy" else values.reshape(-1, 3)) * factor
    return labels


def _factor(table: dict[str, float], kind: str, name: str) -> float:
    if name not in table:
        raise DataError(f"unknown {kind} unit {name!r}; known are {', '.join(table)}")
    return table[name]
