"""Files of MD17, sGDML and rMD17."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schnet_calc.data.archives import load_arrays
from schnet_calc.data.faults import Fault, settle
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


def read_npz(
    path: Path, energy_unit: str | None, length_unit: str | None, skip_bad: bool = False
) -> Frames:
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
    n_atoms = positions.shape[1]
    ev = _factor(ENERGY_UNITS, "energy", energy_unit or str(data.get("e_unit", "kcal/mol")))
    ang = _factor(LENGTH_UNITS, "length", length_unit or str(data.get("r_unit", "Ang")))
    labels = _labels(path, data, layout, positions.shape)
    sound, left_out = _sound(path, {"positions": positions, **labels}, skip_bad)
    positions, n_frames = positions[sound], int(sound.sum())
    factors = {"energy": ev, "forces": ev / ang}
    labels = {name: values[sound] * factors[name] for name, values in labels.items()}
    if "forces" in labels:
        labels["forces"] = labels["forces"].reshape(-1, 3)
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
            **({"left_out": left_out} if left_out else {}),
        },
    )


def _labels(
    path: Path, data: dict[str, np.ndarray], layout: dict[str, str], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Energies (M,) and forces (M, N, 3), whatever there is, in the units of the file."""
    labels = {}
    for name, key, wanted in (
        ("energy", layout["energies"], shape[:1]),
        ("forces", layout["forces"], shape),
    ):
        if key not in data:
            continue
        values = data[key].astype(float)
        values = values.ravel() if name == "energy" else values
        if values.shape != wanted:
            raise DataError(f"{path}: {name} have the shape {values.shape}, but positions ask for {wanted}")
        labels[name] = values
    return labels


def _sound(
    path: Path, arrays: dict[str, np.ndarray], skip_bad: bool
) -> tuple[NDArray[np.bool_], dict[str, str]]:
    """(M,) frames with finite numbers, and reasons of those left out; errors, if they are not to be."""
    n_frames = len(arrays["positions"])
    sound, reasons = np.ones(n_frames, bool), dict[int, str]()
    for name, values in arrays.items():
        finite = np.isfinite(values).reshape(n_frames, -1).all(axis=1)
        for k in np.flatnonzero(~finite):
            reasons.setdefault(int(k), f"{name} hold a value that is not finite")
        sound &= finite
    return sound, settle(path, [Fault(k, reasons[k]) for k in sorted(reasons)], n_frames, skip_bad)


def _factor(table: dict[str, float], kind: str, name: str) -> float:
    if name not in table:
        raise DataError(f"unknown {kind} unit {name!r}; known are {', '.join(table)}")
    return table[name]
