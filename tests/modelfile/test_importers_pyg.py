"""Models of PyTorch Geometric: the same energies here."""

import numpy as np
import pytest
import torch

from modelfile.foreign_checks import ATOMREFS, compare, expected, weights_of, with_member
from modelfile.foreign_models import (
    Plain,
    pytorch_geometric,
    save,
)
from schnet_calc.modelfile.importers import read_foreign
from schnet_calc.nn import MeanSchNet

PYG = {
    "plain": ({}, {}),
    "filters": ({"filters": 12, "blocks": 1}, {}),
    "standardised": ({}, {"mean": -2.5, "std": 0.5}),
    "mean_alone": ({}, {"mean": -2.5}),
    "scale": ({}, {"mean": -2.5, "std": 0.5, "scale": 2.0}),
    "numpy": ({}, {"mean": np.float64(-2.5), "std": np.float64(0.5)}),
    "average": ({}, {"mean": -2.5, "std": 0.5, "readout": "MeanAggregation"}),
}


@pytest.mark.parametrize("name", PYG)
@pytest.mark.parametrize("container", ["module", "weights", "checkpoint"])
def test_pytorch_geometric(tmp_path, name, container):
    shape, members = PYG[name]
    plain = Plain(head_activation="ssp", **shape)
    model = pytorch_geometric(plain, **members)
    told = {k: v for k, v in members.items() if k != "readout"}
    told |= {"readout": "mean"} if "readout" in members else {}
    content = {
        "module": model,
        "weights": weights_of(model),
        "checkpoint": {"epoch": 1, "model_state_dict": weights_of(model), "args": told},
    }[container]
    path = save(content, tmp_path / "model.pt")
    imported = read_foreign(path, energy_unit="eV", options=told if container == "weights" else None)
    std, mean = (members["std"], members["mean"]) if "std" in members else (1.0, 0.0)
    scale = members.get("scale", 1.0)
    compare(imported, *expected(plain, scale * std, scale * mean, "readout" in members))
    assert any("at most 32 neighbours" in line for line in imported.source["assumed"])
    assert imported.source["format"].startswith("PyTorch Geometric")


def test_atomrefs_of_pytorch_geometric(tmp_path):
    plain = Plain(head_activation="ssp")
    refs = torch.nn.Embedding.from_pretrained(ATOMREFS[:, None])
    model = pytorch_geometric(plain, mean=-2.5, std=0.5, scale=2.0, atomref=refs)
    imported = read_foreign(save(model, tmp_path / "m"), energy_unit="eV")
    compare(imported, *expected(plain, 1.0, -5.0, atomrefs=2.0 * ATOMREFS))
    assert sorted(imported.reference_energies) == [1, 6, 8]


def test_old_pytorch_geometric(tmp_path):
    """Before 2.0 the pooling was a word, and neighbours were searched without a module."""
    plain = Plain(head_activation="ssp")
    model = pytorch_geometric(plain, mean=-2.5, std=0.5, interaction_graph=None)
    del model.readout
    model.readout = "mean"
    imported = read_foreign(save(model, tmp_path / "m", legacy=True), energy_unit="eV")
    compare(imported, *expected(plain, 0.5, -2.5, mean=True))
    assert "max_num_neighbors = 32, the default of that code" in imported.source["assumed"]


def test_half_precision_and_double(tmp_path):
    plain = Plain(head_activation="ssp")
    double = read_foreign(save(pytorch_geometric(plain).double(), tmp_path / "m"), energy_unit="eV")
    assert double.network.embedding.weight.dtype == torch.float64
    compare(double, *expected(plain))
    half = read_foreign(save(pytorch_geometric(plain).bfloat16(), tmp_path / "m"), energy_unit="eV")
    rounded = plain.embedding.bfloat16().float()
    torch.testing.assert_close(half.network.embedding.weight[:100].float(), rounded, rtol=0, atol=0)


def test_pytorch_geometric_may_average(tmp_path):
    model = with_member(pytorch_geometric(Plain(blocks=1)), "interactions.0.conv", aggr="mean")
    assert isinstance(read_foreign(save(model, tmp_path / "m"), energy_unit="eV").network, MeanSchNet)
