"""Models of SchNetPack: the same energies here."""

import numpy as np
import pytest
import torch

from modelfile.foreign_checks import ATOMREFS, KCAL, cast, compare, expected, offsets, scaled, weights_of
from modelfile.foreign_models import (
    Plain,
    save,
    save_script,
    schnetpack1,
    schnetpack2,
)
from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers import foreign_format, read_foreign

SCHNETPACK2 = {
    "cosine": {},
    "mollifier": {"cutoff": "mollifier", "start": 0.5, "stop": 3.5},
    "switch": {"cutoff": "switch", "onset": 1.25},
    "bessel": {"basis": "bessel", "activation": "silu"},
    "shared": {"shared": True, "blocks": 3, "filters": 8},
    "deep": {"widths": (7, 5), "head_activation": "ssp"},
    "shallow": {"widths": ()},
    "tanh": {"activation": "tanh", "head_activation": "softplus"},
}


@pytest.mark.parametrize("name", SCHNETPACK2)
@pytest.mark.parametrize("container", ["zip", "legacy", "script", "weights", "checkpoint"])
def test_schnetpack2(tmp_path, name, container):
    plain = Plain(**SCHNETPACK2[name])
    model, path, options = schnetpack2(plain), tmp_path / "best_model", None
    if container == "script":
        save_script(model, path)
    elif container == "checkpoint":
        stale = schnetpack2(plain)
        stale.representation.embedding.weight.data.zero_()
        state = {f"model.{k}": v for k, v in weights_of(model).items()}
        save({"state_dict": state, "hyper_parameters": {"model": stale, "lr": 1e-3}}, path)
    else:
        save(model if container != "weights" else weights_of(model), path, legacy=container == "legacy")
        if container == "weights":
            options = {"activation": plain.activation, "output_activation": plain.head_activation}
            options = {k: v for k, v in options.items() if plain.widths or k == "activation"}
    imported = read_foreign(path, energy_unit="eV", options=options)
    compare(imported, *expected(plain), atol=1e-10)
    assert imported.network.embedding.weight.dtype == torch.float32
    kinds = {"script": "TorchScript", "weights": "state dict", "checkpoint": "checkpoint"}
    assert (
        imported.source["format"]
        == foreign_format(path)
        == f"SchNetPack 2.x {kinds.get(container, 'pickle')}"
    )
    torch.testing.assert_close(
        imported.network.embedding.weight[:100].float(), plain.embedding, rtol=0, atol=0
    )
    assert imported.network.config.shared_filters == plain.shared


def test_schnetpack2_postprocessors(tmp_path):
    plain = Plain()
    behind = (cast(), scaled("energy", 0.3), scaled("forces", 0.3), offsets(-2.5, atomrefs=True))
    imported = read_foreign(save(schnetpack2(plain, behind), tmp_path / "m"), energy_unit="kcal/mol")
    scale = float(torch.tensor(0.3))
    compare(imported, *expected(plain, scale, -2.5, atomrefs=ATOMREFS), factor=KCAL)
    assert imported.reference_energies[6] == pytest.approx((-2.5 - 1030.25) * KCAL)
    assert sorted(imported.reference_energies) == [1, 6, 8]

    before = (offsets(-2.5, atomrefs=True), scaled("energy", 0.3), scaled("forces", 0.3))
    imported = read_foreign(save(schnetpack2(plain, before), tmp_path / "m"), energy_unit="eV")
    compare(imported, *expected(plain, scale, scale * -2.5, atomrefs=scale * ATOMREFS.double()))

    unscaled = read_foreign(
        save(schnetpack2(plain, (scaled("energy", 2.0),)), tmp_path / "m"), energy_unit="eV"
    )
    assert any("forces are left unscaled there" in line for line in unscaled.source["assumed"])

    off = schnetpack2(plain, (offsets(-2.5),), do_postprocessing=False)
    imported = read_foreign(save(off, tmp_path / "m"), energy_unit="eV")
    compare(imported, *expected(plain))
    assert any("switched off" in line for line in imported.source["assumed"])


def test_schnetpack2_average(tmp_path):
    plain = Plain()
    model = schnetpack2(plain, (cast(), offsets(-2.5, extensive=False)), pooling="avg")
    imported = read_foreign(save(model, tmp_path / "m"), energy_unit="eV")
    compare(imported, *expected(plain, shift=-2.5, mean=True))
    assert set(imported.reference_energies.values()) == {0.0}
    large = schnetpack2(plain, (offsets(-12345.678, extensive=False),), pooling="avg")
    imported = read_foreign(save(large, tmp_path / "m"), energy_unit="eV")
    assert imported.network.embedding.weight.dtype == torch.float64
    compare(imported, *expected(plain, shift=-12345.678, mean=True), atol=1e-9)


def test_outputs_are_chosen(tmp_path):
    other = schnetpack2(Plain(widths=(3,))).output_modules[0]
    other.output_key = "gap"
    model = schnetpack2(Plain(), outputs=(other,))
    imported = read_foreign(save(model, tmp_path / "m"), energy_unit="eV")  # the one that forces belong to
    compare(imported, *expected(Plain()))
    assert "outputs beside the energy are left out" in imported.source["assumed"]
    del model.output_modules[2]
    with pytest.raises(ModelFileError, match="the outputs are energy, gap: say which"):
        read_foreign(save(model, tmp_path / "m"), energy_unit="eV")
    chosen = read_foreign(save(model, tmp_path / "m"), energy_unit="eV", options={"property": "energy"})
    compare(chosen, *expected(Plain()))


SCHNETPACK1 = {
    "cosine": ({}, {}),
    "hard": ({"cutoff": "hard", "radius": 2.0}, {}),
    "mollifier": ({"cutoff": "mollifier"}, {}),
    "none": ({"cutoff": "none"}, {"version": "0.2"}),
    "coupled": ({"shared": True}, {}),
    "standardised": ({}, {"mean": -2.5, "stddev": 0.5}),
    "atomref": ({}, {"mean": -2.5, "stddev": 0.5, "atomref": ATOMREFS[:, None]}),
    "average": ({}, {"mean": -2.5, "stddev": 0.5, "pooling": True}),
}


@pytest.mark.parametrize("name", SCHNETPACK1)
@pytest.mark.parametrize("container", ["zip", "legacy", "weights"])
def test_schnetpack1(tmp_path, name, container):
    shape, members = SCHNETPACK1[name]
    plain = Plain(head_activation="ssp", **shape)
    model, options = schnetpack1(plain, **members), None
    if container == "weights":
        options = {"cutoff_function": plain.cutoff} if plain.cutoff in ("hard", "cosine") else {}
        options |= {"pooling": "avg"} if "pooling" in members else {}
    content = {"epoch": 3, "model": weights_of(model)} if container == "weights" else model
    path = save(content, tmp_path / "best_model", legacy=container == "legacy")
    imported = read_foreign(path, energy_unit="eV", options=options)
    values = expected(
        plain,
        members.get("stddev", 1.0),
        members.get("mean", 0.0),
        members.get("pooling", False),
        members["atomref"][:, 0] if "atomref" in members else None,
    )
    compare(imported, *values)
    version = "1.x" if container == "weights" or "version" not in members else "0.2"
    assert imported.source["format"].startswith(f"SchNetPack {version}")
    assert imported.network.config.reach == (np.inf if plain.cutoff == "none" else plain.radius)


def test_cutoffs_of_old_weights_are_not_guessed(tmp_path):
    path = save(weights_of(schnetpack1(Plain())), tmp_path / "m")
    with pytest.raises(ModelFileError, match="does not tell cutoff_function: give it"):
        read_foreign(path, energy_unit="eV")
