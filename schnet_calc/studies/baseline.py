"""A dense network on inverse distances: what SchNet has to be better than."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from schnet_calc.data import Frames


class DenseNetwork(nn.Module):
    """Energy of one molecule from the inverse distances of all pairs of its atoms, by two hidden layers.

    It knows neither elements nor other sizes, and atoms of one element can't change places: the order of
    the atoms is part of what it learns.

    Parameters
    ----------
    positions : Tensor
        (M, N, 3) Å, frames that the inverse distances are standardised with.
    n_hidden : int
        Width of the hidden layers.
    """

    def __init__(self, positions: Tensor, n_hidden: int = 128) -> None:
        super().__init__()
        i, j = np.triu_indices(positions.shape[1], 1)
        self.i, self.j = torch.from_numpy(i), torch.from_numpy(j)
        features = self._inverse(positions)
        self.mean, self.scale = features.mean(0), features.std(0).clamp_min(1e-6)
        self.layers = nn.Sequential(
            nn.Linear(len(i), n_hidden),
            nn.Softplus(),
            nn.Linear(n_hidden, n_hidden),
            nn.Softplus(),
            nn.Linear(n_hidden, 1),
        ).to(positions.dtype)

    def _inverse(self, positions: Tensor) -> Tensor:
        vectors = positions[:, self.i] - positions[:, self.j]
        return 1.0 / torch.linalg.vector_norm(vectors, dim=2)

    def forward(self, positions: Tensor) -> Tensor:
        """(B, N, 3) Å -> (B,) eV."""
        energies: Tensor = self.layers((self._inverse(positions) - self.mean) / self.scale)
        return energies.squeeze(-1)


class Predictions(NamedTuple):
    """What a baseline says of frames."""

    energies: NDArray[np.float64]
    """(M,) eV"""
    forces: NDArray[np.float64]
    """(M, N, 3) eV/Å"""


def train_dense(
    train: Frames, test: Frames, *, steps: int = 6000, batch_size: int = 32, rho: float = 1.0, seed: int = 0
) -> Predictions:
    """Train a :class:`DenseNetwork` on energies and forces and apply it to other frames.

    Parameters
    ----------
    train, test : Frames
        Of one molecule, its atoms always in the same order.
    steps, batch_size, rho, seed : int or float
        Adam's steps, frames in each, weight of the energies (thesis Eq. 5.7), first weights and order.

    Raises
    ------
    ValueError
        The frames are not of one molecule.
    """
    positions, energies, forces = _tensors(train, train.numbers[: train.n_atoms[0]])
    others, _, _ = _tensors(test, train.numbers[: train.n_atoms[0]])
    mean = energies.mean()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DenseNetwork(positions)
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda k: 0.5 * (1 + math.cos(math.pi * k / steps)) + 1e-3
        )
        rng = np.random.default_rng(seed)
        for _ in range(steps):
            rows = torch.from_numpy(rng.choice(len(positions), min(batch_size, len(positions)), False))
            e, f = _energies_and_forces(network, positions[rows], train=True)
            loss = rho * ((e - (energies[rows] - mean).float()) ** 2).mean()
            loss = loss + ((f - forces[rows]) ** 2).sum(-1).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    parts = [_energies_and_forces(network, x, train=False) for x in others.split(256)]
    return Predictions(
        torch.cat([e for e, _ in parts]).numpy().astype(float) + float(mean),
        torch.cat([f for _, f in parts]).numpy().astype(float),
    )


def _tensors(frames: Frames, numbers: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
    n_atoms = len(numbers)
    same = (frames.n_atoms == n_atoms).all() and (frames.numbers.reshape(-1, n_atoms) == numbers).all()
    if not same:
        raise ValueError("a dense network is for frames of one molecule, its atoms in the same order")
    shape = (len(frames), n_atoms, 3)
    # The energies of a molecule are thousands of eV and differ by tenths: their mean goes in float64.
    energies = torch.from_numpy(frames.energies)
    return (
        torch.from_numpy(frames.positions.reshape(shape)).float(),
        energies,
        torch.from_numpy(frames.forces.reshape(shape)).float(),
    )


def _energies_and_forces(network: DenseNetwork, positions: Tensor, train: bool) -> tuple[Tensor, Tensor]:
    positions = positions.detach().requires_grad_()
    energies = network(positions)
    (gradient,) = torch.autograd.grad(energies.sum(), positions, create_graph=train)
    return (energies, -gradient) if train else (energies.detach(), -gradient)
