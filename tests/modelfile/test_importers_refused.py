"""Models of other codes that can't be expressed here are refused by name."""

import pytest
import torch

from modelfile.foreign_checks import offsets, scaled, with_member
from modelfile.foreign_models import (
    SPK,
    Plain,
    make,
    pytorch_geometric,
    save,
    schnetpack1,
    schnetpack2,
)
from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers import foreign_format, read_foreign


def schnetpack2_with(where: str, **members: object) -> torch.nn.Module:
    return with_member(schnetpack2(Plain()), where, **members)


REFUSED = {
    "the representation is PaiNN, not SchNet": lambda: schnetpack2(Plain(), representation="painn.PaiNN"),
    "the cutoff function StrangeCutoff": lambda: schnetpack2(Plain(cutoff="strange")),
    "the output module DipoleMoment": lambda: schnetpack2(
        Plain(), outputs=(make(SPK + "atomistic.atomwise.DipoleMoment"),)
    ),
    "the output module EnergyEwald": lambda: schnetpack2(
        Plain(), outputs=(make(SPK + "atomistic.electrostatic.EnergyEwald"),)
    ),
    "the input module StaticExternalFields": lambda: schnetpack2_with(
        "",
        input_modules=torch.nn.ModuleList([make(SPK + "atomistic.external_fields.StaticExternalFields")]),
    ),
    "embeddings of charge or spin": lambda: schnetpack2_with(
        "representation",
        electronic_embeddings=torch.nn.ModuleList([make(SPK + "nn.embedding.ElectronicEmbedding")]),
    ),
    "the activation 'relu'": lambda: schnetpack2_with(
        "representation.interactions.0.f2out.0", activation=torch.nn.functional.relu
    ),
    "differ": lambda: schnetpack2_with("representation.interactions.0.f2out.0", activation=torch.nn.SiLU()),
    "has an activation where SchNet has none": lambda: schnetpack2_with(
        "representation.interactions.0.in2f", activation=torch.nn.SiLU()
    ),
    "pooled by 'max'": lambda: schnetpack2(Plain(), pooling="max"),
    "not evenly spaced": lambda: schnetpack2_with("representation.radial_basis", offsets=torch.rand(5)),
    "of one width": lambda: schnetpack2_with("representation.radial_basis", widths=torch.rand(5)),
    "not those of the cutoff": lambda: with_member(
        schnetpack2(Plain(basis="bessel")), "representation.radial_basis", freqs=torch.arange(1.0, 6.0)
    ),
    "is_extensive": lambda: schnetpack2(Plain(), (offsets(-2.5, extensive=False),)),
    "single atoms within an average": lambda: schnetpack2(
        Plain(), (offsets(0.0, extensive=False, atomrefs=True),), pooling="avg"
    ),
    "by another factor": lambda: schnetpack2(Plain(), (scaled("energy", 2.0), scaled("forces", 3.0))),
    "the postprocessor Wrap": lambda: schnetpack2(Plain(), (make(SPK + "transform.x.Wrap"),)),
    "total charge": lambda: schnetpack1(Plain(), charge=torch.nn.Parameter(torch.zeros(1, 8))),
    "pooled by MaxAggregate": lambda: with_member(
        schnetpack1(Plain()), "output_modules.0", atom_pool=make(SPK + "nn.base.MaxAggregate")
    ),
    "the output module Polarizability": lambda: with_member(
        schnetpack1(Plain()), "", output_modules=torch.nn.ModuleList([make(SPK + "x.Polarizability")])
    ),
    "centered": lambda: with_member(
        schnetpack1(Plain()), "representation.distance_expansion", centered=True
    ),
    "dipole = True": lambda: pytorch_geometric(Plain(), dipole=True),
    "the interaction_graph Mine": lambda: pytorch_geometric(
        Plain(), interaction_graph=make("my.code.Mine")
    ),
    "pooled by 'MaxAggregation'": lambda: pytorch_geometric(Plain(), readout="MaxAggregation"),
    "aggr: messages are added up or averaged": lambda: with_member(
        pytorch_geometric(Plain()), "interactions.0.conv", aggr="max"
    ),
    "different cutoffs": lambda: with_member(pytorch_geometric(Plain()), "interactions.0.conv", cutoff=3.0),
    "not finite": lambda: with_member(
        schnetpack2(Plain()),
        "representation.interactions.0.in2f",
        weight=torch.nn.Parameter(torch.full((6, 8), torch.nan)),
    ),
    "sizes of the layers don't fit": lambda: with_member(
        schnetpack2(Plain()),
        "representation.interactions.0.in2f",
        weight=torch.nn.Parameter(torch.zeros(6, 9)),
    ),
    "lacks representation.embedding": lambda: with_member(
        schnetpack2(Plain()), "representation", embedding=None
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused_by_name(tmp_path, message):
    path = save(REFUSED[message](), tmp_path / "m")
    with pytest.raises(ModelFileError, match=message):
        read_foreign(path, energy_unit="eV")
    assert foreign_format(path) is not None
