"""Lists of neighbours made by tensor operations: the pairs that the host finds, ready for a call."""

import logging

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk

from helpers import key_set, skewed_silicon
from schnet_calc import SchNetCalculator
from schnet_calc.engine import device_lists
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.engine.device_lists import DeviceSearch, PairsOnDevice
from schnet_calc.kernels.torch import cells
from schnet_calc.kernels.torch.cells import directed_pairs
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.structures.neighbors import NeighborLists, SkinList, half_pairs
from schnet_calc.structures.structure import Structure

CPU = torch.device("cpu")


def cloud(count, length, pbc=False, seed=0):
    positions = np.random.default_rng(seed).uniform(-length, 2 * length, (count, 3))
    return ase.Atoms(f"C{count}", positions, cell=3 * [length], pbc=pbc)


def moved(atoms, pbc=None, amplitude=0.1):
    """Rattled, and carried out of the cell."""
    atoms = atoms.copy()
    atoms.rattle(amplitude, seed=5)
    shifts = np.random.default_rng(6).integers(-2, 3, (len(atoms), 3)) * atoms.pbc
    atoms.positions += shifts @ atoms.cell.array
    if pbc is not None:
        atoms.pbc = pbc
    return atoms


def needle():
    """A cell whose lattice vectors nearly lie in a plane, with atoms that see many images."""
    cell = [[3.0, 0.0, 0.0], [2.5, 1.2, 0.0], [1.0, 7.0, 2.0]]
    return ase.Atoms(
        "C3", scaled_positions=[(0, 0, 0), (0.3, 0.6, 0.2), (0.9, 0.1, 0.7)], cell=cell, pbc=True
    )


CASES = {
    "molecule": cloud(150, 6.0),
    "gas": cloud(150, 60.0),
    "crystal": moved(bulk("Si", cubic=True) * 3),
    "ideal crystal": bulk("Si", cubic=True) * 3,
    "primitive": bulk("Si"),
    "one atom": bulk("Cu", a=2.2),
    "skewed": moved(skewed_silicon()),
    "needle": needle(),
    "liquid": cloud(300, 12.0, True),
    "slab": moved(bulk("Si", cubic=True) * (3, 3, 1), (True, True, False)),
    "wire": moved(bulk("Si", cubic=True) * (1, 1, 3), (False, False, True)),
    "slab in vacuum": ase.Atoms(
        "C120", np.random.default_rng(1).uniform(0, 9, (120, 3)), cell=(9, 9, 900), pbc=True
    ),
}


@pytest.mark.parametrize("cutoff", [3.0, 5.5])
@pytest.mark.parametrize("name", CASES)
def test_the_pairs_of_the_host(name, cutoff, monkeypatch):
    """Each once, and each in both directions, in the order of the receivers; in one portion or in many."""
    atoms = CASES[name]
    arrays = (atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    expected = half_pairs(*arrays)
    for portion in (cells.CANDIDATES, 2000):
        monkeypatch.setattr(cells, "CANDIDATES", portion)
        found = half_pairs(*arrays, DeviceSearch(CPU, from_atoms=0))
        assert isinstance(found, PairsOnDevice)
        assert key_set(found, atoms.positions, cutoff) == key_set(expected, atoms.positions, cutoff)
        assert len(found.i) == len(expected.i)
        receivers, senders, vectors = (x.numpy() for x in found.directed)
        assert receivers.dtype == senders.dtype == np.int32
        assert (np.diff(receivers) >= 0).all()
        both = [
            {(int(a), int(b), *v) for a, b, v in zip(i, j, w + 0.0, strict=True)}
            for i, j, w in ((receivers, senders, vectors), (senders, receivers, -vectors))
        ]
        assert both[0] == both[1]  # to the bit
        assert len(both[0]) == 2 * len(found.i) == len(receivers)


def test_pairs_at_the_cutoff_are_none_or_both(monkeypatch):
    """Whatever rounding makes of them."""
    atoms = moved(bulk("Si", cubic=True) * 2, amplitude=0.0)
    for cutoff in 5.43 * np.array([1.0, np.sqrt(0.5), np.sqrt(2.0)]):
        pairs = directed_pairs(
            torch.from_numpy(atoms.positions), torch.from_numpy(atoms.cell.array), cutoff
        )
        i, j = pairs.receivers, pairs.senders
        there = {(*x.tolist(),) for x in torch.cat((i[:, None], j[:, None], pairs.images), dim=1)}
        back = {(*x.tolist(),) for x in torch.cat((j[:, None], i[:, None], -pairs.images), dim=1)}
        assert there == back


@pytest.mark.parametrize("count", [1, 2])
def test_engines_take_them_as_they_are(models, monkeypatch, count):
    """Through moves, new lists, and cells that change at every step, as those of NPT do."""
    calculator = SchNetCalculator(models["float64"], device="cpu", dtype="float64")
    lists = NeighborLists()
    lists.search = DeviceSearch(CPU, from_atoms=0)
    batches = CudaEngine(calculator.potential, CPU, torch.float64, lists, make=TensorSequence)
    images = [skewed_silicon(), bulk("Si", cubic=True) * (2, 1, 1)][:count]
    monkeypatch.setattr(torch, "sort", None)  # nothing is brought from the host
    for step in range(6):
        for atoms in images:
            atoms.rattle(0.08, seed=step)
            atoms.set_cell(atoms.cell.array * (1.0 + 0.01 * (step // 2)), scale_atoms=True)
        found = batches.evaluate([Structure.from_atoms(a) for a in images])
        for a, b in zip(found, calculator.evaluate(images), strict=True):
            np.testing.assert_allclose(a.forces, b.forces, atol=1e-8)
            np.testing.assert_allclose(a.virial, b.virial, atol=1e-7)
    last = lists.pairs(0, Structure.from_atoms(images[0]), 4.0)
    assert isinstance(last, PairsOnDevice)
    assert (last.directed is None) == (count > 1)  # many would fill the memory


def test_the_host_does_what_is_small_and_what_does_not_fit(monkeypatch, caplog):
    silicon = bulk("Si", cubic=True)
    arrays = (silicon.positions, silicon.cell.array, silicon.pbc)
    assert type(SkinList(4.0, search=DeviceSearch(CPU)).pairs(*arrays)) is not PairsOnDevice

    def full(*_):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(device_lists, "directed_pairs", full)
    with caplog.at_level(logging.INFO):
        found = SkinList(4.0, search=DeviceSearch(CPU, from_atoms=0)).pairs(*arrays)
    assert len(found.i) == len(half_pairs(*arrays, 4.0).i)
    assert "made by the CPU: cpu has too little memory" in caplog.text
