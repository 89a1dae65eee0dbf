"""Models of other SchNet codes: the same energies here, refused by name where they can't be."""

import copy
import hashlib
import os
from pathlib import Path

import ase.neighborlist
import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.calculators.fd import calculate_numerical_forces

from modelfile.foreign_models import (
    NUMBERS,
    POSITIONS,
    SPK,
    Plain,
    make,
    pytorch_geometric,
    save,
    save_script,
    schnetpack1,
    schnetpack2,
)
from schnet_calc import SchNetCalculator
from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers import Imported, foreign_format, read_foreign
from schnet_calc.modelfile.importing import import_model
from schnet_calc.modelfile.saving import save_model
from schnet_calc.nn import MeanSchNet, SchNet, SchNetConfig

PEERS = Path(os.environ.get("SCHNET_CALC_PEERS", Path(__file__).parents[3] / "shared" / "peers"))
needs_peers = pytest.mark.skipif(
    not PEERS.is_dir(), reason=f"no files of other codes in {PEERS}; set SCHNET_CALC_PEERS"
)
KCAL = units.kcal / units.mol
ATOMREFS = torch.zeros(100).index_put((torch.tensor([1, 6, 8]),), torch.tensor([-13.5, -1030.25, -2042.0]))


def atoms() -> Atoms:
    return Atoms(NUMBERS, POSITIONS)


def evaluate(imported: Imported, structure: Atoms, dtype: torch.dtype = torch.float64):
    """Energy, forces and stress (as far as there is a cell) of a structure, by autograd on all its pairs."""
    network = copy.deepcopy(imported.network).to(dtype)
    if structure.pbc.any():
        i, j, images = ase.neighborlist.neighbor_list("ijS", structure, network.config.cutoff)
    else:
        (i, j), images = np.nonzero(~np.eye(len(structure), dtype=bool)), np.zeros(3)
    shifts = torch.tensor(np.broadcast_to(images @ structure.cell.array, (len(i), 3)).copy(), dtype=dtype)
    positions = torch.tensor(structure.positions, dtype=dtype, requires_grad=True)
    strain = torch.zeros(3, 3, dtype=dtype, requires_grad=True)
    deformed = torch.eye(3, dtype=dtype) + strain
    numbers = torch.tensor(structure.numbers)
    energies = network(
        numbers,
        positions @ deformed,
        torch.tensor(np.array([i, j])),
        shifts @ deformed,
        torch.zeros_like(numbers),
    )
    gradient, virial = torch.autograd.grad(energies.sum(), [positions, strain])
    energy = float(energies.detach().double().sum())
    energy += sum(imported.reference_energies[int(z)] for z in structure.numbers)
    volume = structure.get_volume() if structure.cell.rank == 3 else 1.0
    return energy, -gradient.double().numpy(), virial.double().numpy() / volume


def expected(plain: Plain, scale: float = 1.0, shift: float = 0.0, mean: bool = False, atomrefs=None):
    """Energy and forces by the equations alone."""
    positions = torch.tensor(POSITIONS, requires_grad=True)
    each = scale * plain.energies(positions) + shift
    if atomrefs is not None:
        each = each + atomrefs.double()[torch.tensor(NUMBERS)]
    energy = each.mean() if mean else each.sum()
    (gradient,) = torch.autograd.grad(energy, [positions])
    return float(energy.detach()), -gradient.numpy()


def compare(
    imported: Imported, energy: float, forces: np.ndarray, factor: float = 1.0, atol: float = 1e-7
) -> None:
    found = evaluate(imported, atoms())
    assert found[0] == pytest.approx(factor * energy, abs=atol)
    np.testing.assert_allclose(found[1], factor * forces, atol=atol)


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


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


def offsets(mean: float, extensive: bool = True, atomrefs: bool = False) -> torch.nn.Module:
    members = {"add_mean": True, "add_atomrefs": atomrefs, "is_extensive": extensive, "_property": "energy"}
    return make(
        SPK + "transform.atomistic.AddOffsets",
        mean=torch.tensor([mean], dtype=torch.float64),
        atomref=ATOMREFS.clone(),
        **members,
    )


def scaled(key: str, factor: float) -> torch.nn.Module:
    return make(
        SPK + "transform.atomistic.ScaleProperty",
        scale=torch.tensor([factor]),
        input_key=key,
        output_key=key,
    )


def cast() -> torch.nn.Module:
    return make(SPK + "transform.casting.CastTo64", type_map={"float32": "float64"})


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


def test_file_and_options_must_agree(tmp_path):
    path = save(pytorch_geometric(Plain(head_activation="ssp"), mean=-2.5, std=0.5), tmp_path / "m")
    assert read_foreign(path, energy_unit="eV", options={"mean": -2.5}).source["options"]["mean"] == -2.5
    with pytest.raises(ModelFileError, match=r"the file says that mean is -2\.5, not 1\.0"):
        read_foreign(path, energy_unit="eV", options={"mean": 1.0})
    with pytest.raises(ModelFileError, match="the file says that num_filters is 6, not 128"):
        read_foreign(path, energy_unit="eV", options={"num_filters": 128})
    with pytest.raises(ModelFileError, match="no option means for this format: only mean, std"):
        read_foreign(path, energy_unit="eV", options={"means": 1.0})


@pytest.mark.parametrize("basis", ["gaussian", "bessel"])
def test_units(tmp_path, basis):
    plain = Plain(basis=basis)
    path = save(schnetpack2(plain, (offsets(-2.5),)), tmp_path / "m")
    imported = read_foreign(path, energy_unit="Hartree", length_unit="Bohr")
    energy, forces = expected(plain, shift=-2.5)
    in_angstrom = Atoms(NUMBERS, POSITIONS * units.Bohr)
    found = evaluate(imported, in_angstrom)
    assert found[0] == pytest.approx(energy * units.Hartree, abs=1e-9)
    np.testing.assert_allclose(found[1], forces * units.Hartree / units.Bohr, atol=1e-9)
    assert imported.network.config.cutoff == pytest.approx(plain.radius * units.Bohr)
    with pytest.raises(
        ModelFileError, match="no such file tells its energy unit: give energy_unit, one of eV"
    ):
        read_foreign(path)
    with pytest.raises(ModelFileError, match="length_unit is one of Ang, Bohr, nm, got 'pm'"):
        read_foreign(path, energy_unit="eV", length_unit="pm")


def test_elements(tmp_path):
    path = save(schnetpack2(Plain(), (offsets(-2.5, atomrefs=True),)), tmp_path / "m")
    imported = read_foreign(path, energy_unit="eV", elements=["C", "Si"])
    assert imported.reference_energies == {6: -2.5 - 1030.25, 14: -2.5}
    every = read_foreign(save(schnetpack2(Plain()), tmp_path / "m"), energy_unit="eV")
    assert sorted(every.reference_energies) == list(range(1, 100))
    assert any("does not tell which were trained" in line for line in every.source["assumed"])
    with pytest.raises(ModelFileError, match=r"the embedding has no elements \[101\]"):
        read_foreign(path, energy_unit="eV", elements=["Md"])
    with pytest.raises(ModelFileError, match="elements are chemical symbols, got 'Xx'"):
        read_foreign(path, energy_unit="eV", elements=["Xx"])


def test_source(tmp_path):
    path = save(schnetpack2(Plain()), tmp_path / "best_model")
    source = read_foreign(path, energy_unit="eV").source
    assert source["file"] == "best_model"
    assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (source["energy_unit"], source["length_unit"]) == ("eV", "Ang")
    assert source["options"] == {"activation": "ssp", "output_activation": "silu", "pooling": "sum"}


def test_unknown_files_have_no_format(tmp_path):
    own = tmp_path / "own.pt"
    save_model(own, SchNet(SchNetConfig(n_features=4, n_gaussians=4)), {1: 0.0})
    np.savez(tmp_path / "data.npz", x=np.zeros(3))
    (tmp_path / "text").write_text("PK but no archive")
    for name in ("own.pt", "data.npz", "text", "missing", "."):
        assert foreign_format(tmp_path / name) is None
    with pytest.raises(
        ModelFileError, match="no model of SchNetPack, PyTorch Geometric or the original SchNet"
    ):
        read_foreign(own, energy_unit="eV")
    with pytest.raises(FileNotFoundError):
        read_foreign(tmp_path / "missing", energy_unit="eV")


FILES = Path(__file__).parent / "files"


@pytest.mark.parametrize("path", sorted(FILES.glob("*.pt")), ids=lambda p: p.stem)
def test_files_that_the_codes_wrote(path):
    """Activations and scales as hydra builds them, averages over neighbours; see ``peer_files.py``."""
    with np.load(FILES / "references.npz") as known:
        structure = Atoms(known["numbers"], known["positions"])
        energy, forces = known[f"{path.stem}_energy"].item(), known[f"{path.stem}_forces"]
    found = evaluate_within(read_foreign(path, energy_unit="eV"), structure)
    assert found[0] == pytest.approx(energy, abs=1e-6)
    np.testing.assert_allclose(found[1], forces, atol=1e-6)


def evaluate_within(imported: Imported, structure: Atoms):
    """Energy and forces by autograd, pairs within the cutoff only."""
    boxed = structure.copy()
    boxed.set_cell([50.0, 50.0, 50.0])
    boxed.pbc = True
    return evaluate(imported, boxed)


def test_pytorch_geometric_may_average(tmp_path):
    model = with_member(pytorch_geometric(Plain(blocks=1)), "interactions.0.conv", aggr="mean")
    assert isinstance(read_foreign(save(model, tmp_path / "m"), energy_unit="eV").network, MeanSchNet)


@pytest.mark.parametrize("engine", ["auto", "script"])
def test_averages_are_a_network_like_others(tmp_path, engine):
    """Saved, loaded, evaluated, its forces the derivative of its energy."""
    import_model(
        FILES / "spk1_normalize_filter.pt", tmp_path / "m.pt", energy_unit="eV", elements=["C", "H", "O"]
    )
    with np.load(FILES / "references.npz") as known:
        structure = Atoms(known["numbers"], known["positions"])
        energy = known["spk1_normalize_filter_energy"].item()
    structure.calc = SchNetCalculator(tmp_path / "m.pt", engine=engine, dtype="float64")
    assert structure.get_potential_energy() == pytest.approx(energy, abs=1e-6)
    numeric = calculate_numerical_forces(structure, eps=1e-4, iatoms=[2])
    np.testing.assert_allclose(structure.get_forces()[2], numeric[0], atol=1e-6)


def with_member(model: torch.nn.Module, where: str, **members: object) -> torch.nn.Module:
    """Change a module within a model."""
    inner = model.get_submodule(where)
    for name, value in members.items():
        setattr(inner, name, value)
    return model


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


def test_cutoffs_of_old_weights_are_not_guessed(tmp_path):
    path = save(weights_of(schnetpack1(Plain())), tmp_path / "m")
    with pytest.raises(ModelFileError, match="does not tell cutoff_function: give it"):
        read_foreign(path, energy_unit="eV")


CASES = [
    ("A1_ethanol_best_model", "A1_ethanol", "kcal/mol", None),
    ("A3_silicon_best_model", "A3_silicon", "eV", None),
    ("B2_spk03_2a55afb.model", "B2_spk03_2a55afb", "kcal/mol", None),
    ("B3_spk101_ethanol_best_model", "B3_spk101_ethanol", "eV", None),
    ("C1_pyg_model.pt", "C1_pyg", "eV", None),
    ("C1_pyg_checkpoint.pt", "C1_pyg", "eV", None),
    ("C1_pyg_state_dict.pt", "C1_pyg", "eV", {"mean": -2.9, "std": 0.35, "readout": "add"}),
]


def reference(name: str):
    """Structures, energies, forces and stresses that the original code gave in float64."""
    data = np.load(PEERS / f"{name}_ref.npz")
    ends = np.cumsum(data["n_atoms"])
    for k, (begin, end) in enumerate(zip(ends - data["n_atoms"], ends, strict=True)):
        structure = Atoms(
            data["numbers"][begin:end],
            data["positions"][begin:end],
            cell=data["cell"][k],
            pbc=data["pbc"][k],
        )
        stress = data["stress"][k] if "stress" in data else None
        yield structure, data["energy"][k], data["forces"][begin:end], stress


@needs_peers
@pytest.mark.parametrize(("file", "name", "unit", "options"), CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_files_of_other_codes(file, name, unit, options, dtype):
    imported = read_foreign(PEERS / file, energy_unit=unit, options=options)
    assert imported.network.embedding.weight.dtype == torch.float32
    atol = (1e-6, 1e-6) if dtype == torch.float64 else (1e-5, 1e-4)
    for structure, energy, forces, stress in reference(name):
        found = evaluate(imported, structure, dtype)
        assert found[0] == pytest.approx(energy, abs=atol[0])
        np.testing.assert_allclose(found[1], forces, atol=atol[1])
        if stress is not None and structure.pbc.all():
            np.testing.assert_allclose(found[2], stress, atol=atol[0])


@needs_peers
@pytest.mark.parametrize("name", ["A1_ethanol", "A3_silicon"])
def test_deployed_models(name):
    """Like the model itself, but for the mean per atom, which deployment rounds to float32."""
    unit = "kcal/mol" if name == "A1_ethanol" else "eV"
    deployed = read_foreign(PEERS / f"{name}_deployed_model", energy_unit=unit)
    model = read_foreign(PEERS / f"{name}_best_model", energy_unit=unit)
    assert deployed.network.config == model.network.config
    torch.testing.assert_close(deployed.network.state_dict(), model.network.state_dict(), rtol=0, atol=0)
    assert abs(deployed.reference_energies[6] - model.reference_energies[6]) < 5e-5


@needs_peers
def test_model_of_schnetpack_02():
    imported = read_foreign(PEERS / "B1_spk02_241af77.model", energy_unit="kcal/mol")
    assert imported.source["format"] == "SchNetPack 0.2 pickle"
    config = imported.network.config
    assert (config.cutoff_function, config.cutoff, config.n_features, config.n_gaussians) == (
        "hard",
        5.0,
        128,
        25,
    )
    energies = [evaluate(imported, structure)[0] for structure, *_ in reference("A1_ethanol")][:5]
    np.testing.assert_allclose(energies, -4216.7, atol=0.6)
