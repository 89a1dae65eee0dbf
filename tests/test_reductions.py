"""Ways from numbers of atoms to properties of structures: exact values, arrays and tensors, one from outside."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from ase.build import molecule

from helpers import random_network
from schnet_calc import SchNetCalculator
from schnet_calc.data.properties import poolings, scalar
from schnet_calc.modelfile import save_model
from schnet_calc.reductions import REDUCTIONS, NumpyGroups, Reduction, reduction

POSITIONS = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 4.0, 0.0], [3.0, 0.0, 0.0]])
GROUPS = NumpyGroups(POSITIONS, np.array([1.0, 3.0, 1.0, 1.0, 2.0]), np.array([2, 3]))
VALUES = np.array([1.0, 3.0, 2.0, 2.0, 5.0])
EXACT = {
    "sum": [4.0, 9.0],
    "mean": [2.0, 3.0],
    # Charges -1, 1 two Å apart; -1, -1 and 2 around the mean of their places.
    "charges": [[2.0, 0.0, 0.0], [6.0, -4.0, -1.0]],
    # Centres of mass (1.5, 0, 0) and (1.5, 1, 0.25).
    "extent": [
        1.0 * 1.5**2 + 3.0 * 0.5**2,
        2.0 * (1.5**2 + 1.0 + 0.75**2) + 2.0 * (1.5**2 + 3.0**2 + 0.25**2) + 5.0 * (1.5**2 + 1.0 + 0.25**2),
    ],
}


class TensorGroups(NamedTuple):
    positions: torch.Tensor
    masses: torch.Tensor
    counts: torch.Tensor

    @property
    def system(self):
        return torch.repeat_interleave(torch.arange(len(self.counts)), self.counts)

    def sums(self, atomic):
        return atomic.new_zeros(len(self.counts), *atomic.shape[1:]).index_add(0, self.system, atomic)


@pytest.mark.parametrize("name", EXACT)
def test_values_by_hand(name):
    how = REDUCTIONS[name]
    assert np.allclose(how.reduce(how.parts(VALUES, GROUPS), GROUPS), EXACT[name], atol=1e-14)
    groups = TensorGroups(
        torch.from_numpy(POSITIONS), torch.from_numpy(GROUPS.masses), torch.from_numpy(GROUPS.counts)
    )
    tensors = how.reduce(how.parts(torch.from_numpy(VALUES), groups), groups)
    assert np.allclose(tensors.numpy(), EXACT[name], atol=1e-14)


@pytest.mark.parametrize("name", [n for n in EXACT if n != "charges"])
def test_a_scaled_head_begins_at_the_labels_mean(name):
    """A network that says zero predicts the mean: of what each atom has, or of the property."""
    how = REDUCTIONS[name]
    ones = how.reduce(how.parts(np.ones(5), GROUPS), GROUPS)
    shift, scale = how.scaling(2.5 * ones, ones)
    assert shift == pytest.approx(2.5)
    assert scale > 0


def test_baselines_from_compositions():
    counts = np.array([[2.0, 0.0], [1.0, 1.0], [1.0, 3.0]])
    others = np.array([[3.0, 3.0]])
    assert REDUCTIONS["sum"].baseline(counts, counts @ [1.0, -2.0], others) == pytest.approx([-3.0])
    means = counts @ [1.0, -2.0] / counts.sum(axis=1)
    assert REDUCTIONS["mean"].baseline(counts, means, others) == pytest.approx([-0.5])
    dipoles = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert REDUCTIONS["charges"].baseline(counts, dipoles, others) == pytest.approx([2.0])


def test_a_way_of_ones_own(tmp_path):
    """One class: it is a pooling of labels, a head of networks and a result of the calculator."""

    class Squares(Reduction):
        name = "squares"

        def parts(self, values, atoms):
            return values**2

    try:
        reduction(Squares)
        assert "squares" in poolings()
        assert scalar("roughness", "", "squares").reduction.name == "squares"
        network = random_network(heads={"roughness": "squares", "total": "sum"})
        network.heads["roughness"].load_state_dict(network.heads["total"].state_dict())
        save_model(tmp_path / "model.pt", network, {1: 0.0, 6: 0.0, 8: 0.0})
        atoms = molecule("CH3CH2OH")
        atoms.calc = SchNetCalculator(tmp_path / "model.pt", device="cpu", on_doubt="ignore")
        parts = atoms.calc.model.evaluate([atoms])[0].atomic
        assert np.allclose(parts["roughness"], parts["total"] ** 2)
        assert atoms.calc.get_property("roughness", atoms) == pytest.approx((parts["total"] ** 2).sum())
        with pytest.raises(ValueError, match="'squares' belongs to"):
            reduction(type("Others", (Reduction,), {"name": "squares"}))
    finally:
        REDUCTIONS.pop("squares", None)
