"""Networks and their hyperparameters."""

import json
import math

import pytest
import torch

from helpers import REFERENCES, VARIANTS, ethanol, random_network, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import load_potential
from schnet_calc.nn.basis import BesselBasis


def test_mean_pooling_is_intensive(tmp_path):
    path = write_model(tmp_path / "mean.pt", pooling="mean")
    calculator = SchNetCalculator(path)
    assert calculator.engine.name == "compiled"
    one, far = ethanol(), ethanol()
    far.positions += 100
    offset = sum(REFERENCES[z] for z in one.numbers)
    single = calculator.evaluate([one])[0].energy - offset
    double = calculator.evaluate([one + far])[0].energy - 2 * offset
    assert double == pytest.approx(single, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_features": 0}, "n_features must be positive and finite, got 0"),
        ({"cutoff": -1.0}, "cutoff must be positive"),
        ({"cutoff_function": "step"}, "cutoff_function is"),
        ({"pooling": "max"}, "pooling is"),
        ({"basis_start": 9.0}, "must lie beyond"),
        ({"basis": "fourier"}, "basis is one of gaussian, bessel"),
        ({"activation": "relu"}, "activation is one of ssp, softplus, silu, tanh"),
        ({"output_activation": "relu"}, "output_activation is one of"),
        ({"cutoff_onset": 4.0}, "must lie between zero and the cutoff"),
        ({"output_layers": (16, 0)}, "output_layers must be positive widths"),
        ({"n_filters": 0}, "n_filters must be positive"),
        ({"neighbor_average": -1.0}, "neighbor_average must be positive"),
        ({"heads": {"band gap": "mean"}}, "the name of a head is a word, got 'band gap'"),
        ({"heads": {"gap": "median"}}, "the head gap is one of sum, mean, charges"),
    ],
)
def test_bad_hyperparameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        random_network(**options)


@pytest.mark.parametrize("name", list(VARIANTS))
def test_hyperparameters_survive_a_file(tmp_path, name):
    """As plain values of JSON, and the network with them."""
    path = write_model(tmp_path / "m.pt", **VARIANTS[name], heads={"dipole": "charges"})
    network = load_potential(path).network()
    assert network.config == random_network(**VARIANTS[name], heads={"dipole": "charges"}).config
    assert json.loads(json.dumps(network.config.to_dict())) == load_potential(path).metadata.hyperparameters
    assert network.config.reach == load_potential(path).cutoff


def test_the_head_may_have_any_layers():
    for widths, shapes in (
        (None, [(12, 24), (1, 12)]),
        ((), [(1, 24)]),
        ((7, 5), [(7, 24), (5, 7), (1, 5)]),
    ):
        network = random_network(output_layers=widths)
        layers = [*network.output_hidden, network.output]
        assert [tuple(layer.weight.shape) for layer in layers] == shapes


def test_bessel_functions_vanish_at_the_cutoff():
    basis = BesselBasis(4.0, 6)
    distances = torch.tensor([0.0, 1.3, 4.0], dtype=torch.float64)
    found = basis.double()(distances)
    k = torch.arange(1, 7) * math.pi / 4.0
    torch.testing.assert_close(found[0], k.double())
    torch.testing.assert_close(found[1], torch.sin(1.3 * k.double()) / 1.3)
    torch.testing.assert_close(found[2], torch.zeros(6, dtype=torch.float64), atol=1e-6, rtol=0)
