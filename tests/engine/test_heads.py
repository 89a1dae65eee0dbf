"""Outputs beside the energy: a dipole from latent charges, a mean and a sum over atoms."""

import ase
import numpy as np
import pytest
import torch
from ase.build import molecule
from scipy.spatial.transform import Rotation

from helpers import REFERENCES, ethanol, random_network, skewed_silicon, write_model
from schnet_calc import SchNetCalculator, load_model
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.modelfile import save_model
from schnet_calc.structures.structure import Structure

HEADS = {"dipole": "charges", "gap": "mean", "volume": "sum", "spread": "extent"}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A model with further heads per dtype."""
    folder = tmp_path_factory.mktemp("heads")
    return {d: write_model(folder / f"{d}.pt", d, heads=HEADS) for d in ("float32", "float64")}


@pytest.fixture
def model(paths, engine):
    """In float64, with every engine."""
    return load_model(paths["float64"], device="cpu", engine=engine)


def one(model, atoms):
    (prediction,) = model.evaluate([atoms])
    return prediction


def test_a_dipole_turns_with_the_molecule(model):
    atoms = ethanol()
    before = one(model, atoms)
    assert np.linalg.norm(before.outputs["dipole"]) > 1e-2
    rotation = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    atoms.positions = atoms.positions @ rotation.T + (120.0, -7.0, 3.0)
    after = one(model, atoms)
    np.testing.assert_allclose(after.outputs["dipole"], before.outputs["dipole"] @ rotation.T, atol=1e-9)
    for name in ("gap", "volume", "spread"):
        assert after.outputs[name] == pytest.approx(before.outputs[name], abs=1e-9)
    for name in HEADS:
        np.testing.assert_allclose(after.atomic[name], before.atomic[name], atol=1e-9)


def test_charges_add_up_to_zero_and_give_the_dipole(model):
    atoms = ethanol()
    found = one(model, atoms)
    charges = found.atomic["dipole"]
    assert np.ptp(charges) > 1e-2
    assert charges.sum() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(charges @ atoms.positions, found.outputs["dipole"], atol=1e-12)


def test_means_and_sums(model):
    atoms, far = ethanol(), ethanol()
    far.positions += 100.0
    alone, twice = one(model, atoms), one(model, atoms + far)
    assert twice.outputs["gap"] == pytest.approx(alone.outputs["gap"], abs=1e-9)
    assert twice.outputs["volume"] == pytest.approx(2 * alone.outputs["volume"], abs=1e-9)
    for name in ("gap", "volume"):
        assert alone.atomic[name].shape == (9,)
        assert alone.atomic[name].sum() == pytest.approx(alone.outputs[name], abs=1e-12)


def test_an_extent_is_the_second_moment_about_the_centre_of_mass(model):
    """A copy out of reach moves the centre half of the way, and every atom counts with its new distance."""
    atoms, far = ethanol(), ethanol()
    far.positions += (40.0, 0.0, 0.0)
    found, both = one(model, atoms), one(model, atoms + far)
    squares = ((atoms.positions - atoms.get_center_of_mass()) ** 2).sum(axis=1)
    charges = found.atomic["spread"] / squares
    assert found.atomic["spread"].sum() == pytest.approx(found.outputs["spread"], abs=1e-12)
    expected = 2 * (found.outputs["spread"] + 20.0**2 * charges.sum())
    assert both.outputs["spread"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", list(HEADS))
def test_derivatives_are_differences(model, name):
    atoms, step = ethanol(), 1e-4
    found = model.derivative(atoms, name)
    assert found.shape == ((27, 3) if name == "dipole" else (27,))
    numerical = []
    for k in range(27):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.flat[k] += sign * step
            ends.append(one(model, moved).outputs[name])
        numerical.append((ends[0] - ends[1]) / (2 * step))
    np.testing.assert_allclose(found, numerical, atol=1e-6 * np.abs(found).max() + 1e-8)


def test_derivatives_of_a_float32_model_are_float64(paths, engine):
    found = load_model(paths["float32"], device="cpu", engine=engine).derivative(ethanol(), "dipole")
    exact = load_model(paths["float32"], device="cpu", dtype="float64", engine="script")
    np.testing.assert_allclose(found, exact.derivative(ethanol(), "dipole"), atol=1e-5)


def test_translations_have_no_derivative(model):
    """Moving all atoms moves nothing: the rows of all atoms add up to zero."""
    found = model.derivative(ethanol(), "dipole").reshape(9, 3, 3)
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-7)


def test_batch_equals_single_calls(model):
    images = [ethanol(), ase.Atoms("H"), molecule("CO"), skewed_silicon(), ethanol()[:4]]
    for together, atoms in zip(model.evaluate(images), images, strict=True):
        alone = one(model, atoms)
        assert together.outputs.keys() == together.atomic.keys() == HEADS.keys()
        for name in HEADS:
            np.testing.assert_allclose(together.outputs[name], alone.outputs[name], atol=1e-9)
            np.testing.assert_allclose(together.atomic[name], alone.atomic[name], atol=1e-9)
    assert one(model, ase.Atoms("H")).outputs["dipole"].tolist() == [0, 0, 0]


def test_engines_agree(paths, dtype, atoms):
    """The one for CUDA too, whose steps run on the CPU as well."""
    script, compiled = (
        load_model(paths[dtype], device="cpu", engine=engine) for engine in ("script", "compiled")
    )
    cuda = CudaEngine(script.potential, torch.device("cpu"), getattr(torch, dtype), make=TensorSequence)
    expected = one(script, atoms)
    tolerance = {"float32": 1e-5, "float64": 5e-6}[dtype]
    for found in (one(compiled, atoms), cuda.evaluate([Structure.from_atoms(atoms)])[0]):
        for name in HEADS:
            np.testing.assert_allclose(found.outputs[name], expected.outputs[name], atol=tolerance)
            np.testing.assert_allclose(found.atomic[name], expected.atomic[name], atol=tolerance)
        np.testing.assert_allclose(found.forces, expected.forces, atol=tolerance)


def test_only_what_is_asked_for(model):
    everything, (some,), (none,) = (
        one(model, ethanol()),
        model.evaluate([ethanol()], properties=["gap", "polarizability"]),
        model.evaluate([ethanol()], properties=[]),
    )
    assert set(everything.outputs) == set(HEADS)
    assert set(some.outputs) == set(some.atomic) == {"gap"}
    assert none.outputs == none.atomic == {}
    assert some.outputs["gap"] == pytest.approx(everything.outputs["gap"], abs=1e-12)
    np.testing.assert_array_equal(none.forces, everything.forces)
    with pytest.raises(
        ValueError, match=r"no output 'polarizability' \(it has: dipole, gap, volume, spread\)"
    ):
        model.derivative(ethanol(), "polarizability")


def test_units_are_in_the_file(tmp_path):
    network = random_network(heads=HEADS)
    save_model(tmp_path / "m.pt", network, REFERENCES, units={"gap": "eV", "dipole": "e*Ang"})
    assert load_model(tmp_path / "m.pt").outputs == {
        "dipole": "e*Ang",
        "gap": "eV",
        "volume": "",
        "spread": "",
    }


def test_a_committee_averages(paths, tmp_path, engine):
    torch.manual_seed(0)
    network = random_network(heads=HEADS)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.02 * torch.randn_like(p))
    save_model(tmp_path / "other.pt", network, REFERENCES)
    members = [paths["float64"], tmp_path / "other.pt"]
    images = [ethanol(), skewed_silicon()]
    alone = [load_model(m, device="cpu", engine=engine).evaluate(images) for m in members]
    committee = load_model(members, device="cpu", engine=engine)
    for k, found in enumerate(committee.evaluate(images)):
        for name in HEADS:
            parts = [a[k].outputs[name] for a in alone]
            assert k > 0 or np.abs(parts[0] - parts[1]).max() > 1e-6
            np.testing.assert_allclose(found.outputs[name], np.mean(parts, axis=0), atol=1e-10)
            of_atoms = [a[k].atomic[name] for a in alone]
            np.testing.assert_allclose(found.atomic[name], np.mean(of_atoms, axis=0), atol=1e-10)
    derivatives = [load_model(m, device="cpu", engine=engine).derivative(ethanol(), "gap") for m in members]
    np.testing.assert_allclose(
        committee.derivative(ethanol(), "gap"), np.mean(derivatives, axis=0), atol=1e-9
    )


def test_a_committee_has_what_all_members_have(paths, models):
    committee = load_model([paths["float64"], models["float64"]])
    assert committee.outputs == {}
    assert one(committee, ethanol()).outputs == {}
    with pytest.raises(ValueError, match=r"no output 'dipole' \(it has: none\)"):
        committee.derivative(ethanol(), "dipole")


def test_ase_has_them(paths):
    atoms = ethanol()
    atoms.calc = SchNetCalculator(paths["float64"], device="cpu")
    found = one(atoms.calc.model, atoms)
    np.testing.assert_allclose(atoms.get_dipole_moment(), found.outputs["dipole"])
    np.testing.assert_allclose(atoms.get_charges(), found.atomic["dipole"])
    assert atoms.calc.results["gap"] == found.outputs["gap"]
    assert {"dipole", "charges", "gap"} <= set(atoms.calc.implemented_properties)
    assert "dipole" not in SchNetCalculator.implemented_properties
