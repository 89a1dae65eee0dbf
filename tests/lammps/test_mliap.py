"""The class for pair_style mliap unified, on a stand-in for what LAMMPS hands over."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk

from helpers import VARIANTS, write_model
from schnet_calc import load_model
from schnet_calc.lammps.checks import LammpsError
from schnet_calc.lammps.mliap import SchNetMLIAP, export_mliap
from schnet_calc.modelfile import load_potential

sys.path.insert(0, str(Path(__file__).parent))
from standin import StandInExchange, on_ranks, surroundings

REACH = 4.7


class Data:
    """As LAMMPS' MLIAPDataPy: directed pairs of own atoms, rows of own atoms and ghosts."""

    def __init__(self, world, rank, atoms, own, symbols):
        around = surroundings(atoms, own, REACH)
        positions, tags, n = around.positions, around.tags, around.n_own
        self.nlocal, self.ntotal = n, len(tags)
        distances = np.linalg.norm(positions[:n, None] - positions[None], axis=2)
        distances[np.arange(n), np.arange(n)] = np.inf
        self.pair_i, self.pair_j = np.nonzero(distances < REACH)  # some beyond the cutoff
        self.rij = positions[self.pair_j] - positions[self.pair_i]
        self.elems = np.array([symbols.index(atoms[int(t)].symbol) for t in tags])
        self.eatoms, self.forces, self.energy = np.zeros(n), np.zeros((self.ntotal, 3)), 0.0
        self.exchange = StandInExchange(world, rank, tags, n)

    def forward_exchange(self, source, target, width):
        rows = source.detach().numpy().copy()
        self.exchange.forward(rows)
        target.copy_(torch.from_numpy(rows))

    def reverse_exchange(self, source, target, width):
        rows = source.detach().numpy().copy()
        self.exchange.reverse(rows)
        target.copy_(torch.from_numpy(rows))

    def update_pair_forces_gpu(self, gradient):
        np.add.at(self.forces, self.pair_i, gradient.numpy())
        np.subtract.at(self.forces, self.pair_j, gradient.numpy())


@pytest.mark.parametrize(
    "options", [{}, {"shared_filters": True, "n_filters": 17, "neighbor_average": 9.0}, VARIANTS["average"]]
)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_ranks_agree_with_one_process(size, options, tmp_path):
    path = write_model(tmp_path / "m.pt", n_interactions=3, **options)
    atoms = bulk("Si", cubic=True)
    atoms.numbers[::3] = 6
    atoms.rattle(0.1, seed=1)
    export_mliap(path, tmp_path / "mliap.pt", ["Si", "C"], torch.float64)
    # The last of three ranks has no atoms.
    owner = np.arange(len(atoms)) % min(size, 2)

    def call(world, rank):
        pair = torch.load(tmp_path / "mliap.pt", weights_only=False)
        data = Data(world, rank, atoms, np.flatnonzero(owner == rank), pair.element_types)
        pair.compute_forces(data)
        data.exchange.reverse(data.forces)
        return data

    found = on_ranks(size, call)
    bound = (
        1e-7 if "architecture" in options else 1e-8
    )  # a hard cutoff's filters are tabulated less exactly
    expected = load_model(path, device="cpu", on_doubt="ignore").evaluate([atoms])[0]
    assert sum(float(data.energy) for data in found) == pytest.approx(expected.energy, abs=bound)
    for rank, data in enumerate(found):
        mine = owner == rank
        np.testing.assert_allclose(data.eatoms, expected.energies[mine], atol=1e-8)
        np.testing.assert_allclose(data.forces[: data.nlocal], expected.forces[mine], atol=1e-7)


def test_what_does_not_fit(tmp_path):
    potential = load_potential(write_model(tmp_path / "m.pt"))
    with pytest.raises(LammpsError, match="doesn't know Ge"):
        SchNetMLIAP(potential, ["Ge"])
    with pytest.raises(LammpsError, match="has no forward_exchange"):
        SchNetMLIAP(potential, ["Si"]).compute_forces(object())
    averaging = load_potential(write_model(tmp_path / "mean.pt", pooling="mean"))
    with pytest.raises(LammpsError, match="averages over atoms"):
        SchNetMLIAP(averaging, ["Si"])
