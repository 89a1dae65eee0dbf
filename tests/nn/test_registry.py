"""A network that the package doesn't know: registered, trained, saved, loaded, relaxed, driven by i-PI."""

import ase.io
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers import ethanol
from schnet_calc import SchNetCalculator, register, relax
from schnet_calc.ipi.evaluator import Evaluator
from schnet_calc.ipi.wire import Request
from schnet_calc.modelfile import load_potential
from schnet_calc.nn import ARCHITECTURES, DistanceNetwork, NetworkConfig
from schnet_calc.training import DataConfig, RunConfig, TrainingConfig, train


class PairConfig(NetworkConfig):
    """Hyperparameters of a :class:`PairNetwork`."""


@register("Pairs", PairConfig)
class PairNetwork(DistanceNetwork):
    """Atoms take up what a dense layer makes of their neighbours' embeddings and distances, once."""

    def __init__(self, config: PairConfig) -> None:
        super().__init__(config)
        self.filters = nn.Linear(config.n_gaussians, config.n_features)
        self.add_heads("silu")

    def filter_values(self, distances: Tensor) -> list[Tensor]:
        return [self.filters(self.basis(distances)) * self.cutoff(distances)[:, None]]

    def refine(self, x: Tensor, filters: list[Tensor], pairs: Tensor) -> Tensor:
        return x + torch.zeros_like(x).index_add(0, pairs[0], x[pairs[1]] * filters[0])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    teacher, frames = SchNetCalculator("ethanol", on_doubt="ignore"), []
    for k in range(60):
        atoms = ethanol()
        atoms.rattle(0.04, seed=k)
        atoms.calc = teacher
        atoms.get_forces()
        frames.append(atoms)
    ase.io.write(folder / "frames.extxyz", frames)
    config = RunConfig(
        DataConfig(str(folder / "frames.extxyz"), n_train=40, n_validation=10),
        PairConfig(n_features=16, n_gaussians=16),
        TrainingConfig(
            steps=150,
            validate_every=50,
            n_validate=10,
            optimizer="adam",
            rho=0.01,
            learning_rate=5e-3,
            warmup=10,
        ),
    )
    return folder, train(config, folder / "run")


def test_it_learns(trained):
    _, test = trained
    assert test.errors.force_mae_ev_ang < 0.8 * test.mean_predictor.force_mae_ev_ang


def test_its_file_runs_from_plain_weights(trained):
    folder, _ = trained
    potential = load_potential(folder / "run" / "model.pt")
    assert potential.native
    assert potential.metadata.architecture == "Pairs"
    assert isinstance(potential.network(), PairNetwork)


def test_without_the_class_its_torchscript_has_to_be_asked_for(trained, monkeypatch):
    folder, _ = trained
    path, atoms = folder / "run" / "model.pt", ethanol()
    expected = SchNetCalculator(path).evaluate([atoms])[0].forces
    monkeypatch.delitem(ARCHITECTURES, "Pairs")
    with pytest.raises(ValueError, match="engine='script'"):
        SchNetCalculator(path)
    found = SchNetCalculator(path, engine="script").evaluate([atoms])[0].forces
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_it_relaxes_a_molecule(trained):
    folder, _ = trained
    calculator = SchNetCalculator(folder / "run" / "model.pt", on_doubt="ignore")
    result = relax(ethanol(), calculator, fmax=0.5, steps=20)
    assert result.energies[-1] < result.energies[0]


def test_i_pi_is_answered(trained):
    folder, _ = trained
    calculator, atoms = SchNetCalculator(folder / "run" / "model.pt", on_doubt="ignore"), ethanol()
    reply = Evaluator(calculator.model, atoms)(
        Request(np.eye(3)[None] * 50, atoms.positions[None] / 0.52917721)
    )
    forces = calculator.evaluate([atoms])[0].forces
    np.testing.assert_allclose(reply.forces[0] * 51.422067, forces, rtol=1e-4, atol=1e-4)
