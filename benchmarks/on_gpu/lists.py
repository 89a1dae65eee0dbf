"""Lists of neighbours made on the device: the pairs of the host, and the time of both."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from on_gpu import Trial
from on_gpu.engines import milliseconds
from on_gpu.fast import SIZES, _times
from schnet_calc.engine.device_lists import DeviceSearch
from schnet_calc.structures.neighbors import SKIN, HalfPairs, half_pairs
from schnet_calc.studies.bench.cases import NETWORK, diamond


def lists(trial: Trial) -> dict[str, Any]:
    """Milliseconds by size of a crystal, and whether lengths and ends of all pairs are the same."""
    search, found = DeviceSearch(torch.device(trial.device), from_atoms=0), dict[str, Any]()
    for n_atoms in SIZES[1:2] if trial.quick else SIZES[1:]:
        atoms = diamond(n_atoms)
        atoms.rattle(0.1, seed=0)
        arrays = (atoms.positions, atoms.cell.array, atoms.pbc, NETWORK.cutoff + SKIN)
        makers: dict[str, Callable[[], HalfPairs]] = {
            "device": lambda a=arrays: half_pairs(*a, search),
            "cpu": lambda a=arrays: half_pairs(*a),
        }
        a, b = (_sorted(make(), atoms.positions) for make in makers.values())
        found[f"{n_atoms} atoms, the same"] = a.shape == b.shape and bool(np.allclose(a, b, atol=1e-9))
        count = 1 if trial.quick else 10
        found[f"{n_atoms} atoms"] = {k: milliseconds(_times(make, count)) for k, make in makers.items()}
    found["summary"] = ", ".join(
        f"{k} {v['device']['median']:.1f} ms, {v['cpu']['median']:.1f} on the CPU"
        for k, v in found.items()
        if isinstance(v, dict)
    )
    return found


def _sorted(pairs: HalfPairs, positions: np.ndarray) -> np.ndarray:
    """(P, 3): the lower and the higher atom of each pair, and its length, Å; in an order that both lists have."""
    lengths = np.linalg.norm(positions[pairs.j] + pairs.shifts - positions[pairs.i], axis=1)
    rows = np.column_stack([np.minimum(pairs.i, pairs.j), np.maximum(pairs.i, pairs.j), lengths])
    return rows[np.lexsort((lengths.round(7), rows[:, 1], rows[:, 0]))]
