"""What physics asks of an energy surface, for SchNets beyond the thesis's own; and that all engines agree."""

import math

import ase
import numpy as np
import pytest
import torch
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from scipy.spatial.transform import Rotation

from helpers import STRUCTURES, VARIANTS, ethanol, skewed_silicon, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.structures.structure import Structure


@pytest.fixture(scope="module", params=list(VARIANTS))
def path(request, tmp_path_factory):
    """A model file of each variant."""
    folder = tmp_path_factory.mktemp("variants")
    return write_model(folder / f"{request.param.replace(' ', '_')}.pt", **VARIANTS[request.param])


@pytest.fixture
def calculator(path, engine):
    """Every variant with every engine, in float64."""
    return SchNetCalculator(path, device="cpu", engine=engine)


@pytest.fixture(params=list(STRUCTURES))
def atoms(request, path):
    """A molecule, and a crystal where the model has a cutoff."""
    if request.param == "crystal" and math.isinf(SchNetCalculator(path).potential.cutoff):
        pytest.skip("all pairs of a crystal have no end")
    return STRUCTURES[request.param]()


def test_rigid_motions_and_order_change_nothing(calculator, atoms):
    (before,) = calculator.evaluate([atoms])
    rotation = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    order = np.random.default_rng(0).permutation(len(atoms))
    moved = atoms[order]
    moved.translate((12.5, -7.1, 50.3))
    moved.positions = moved.positions @ rotation.T
    moved.cell[:] = moved.cell.array @ rotation.T
    (after,) = calculator.evaluate([moved])
    np.testing.assert_allclose(after.energies, before.energies[order], atol=1e-9)
    np.testing.assert_allclose(after.forces, before.forces[order] @ rotation.T, atol=1e-9)
    np.testing.assert_allclose(after.virial, rotation @ before.virial @ rotation.T, atol=3e-9)


def test_forces_and_stress_are_derivatives_of_the_energy(calculator, atoms):
    atoms.calc = calculator
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 1e-3
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(forces, numerical, atol=1e-6 * np.abs(forces).max() + 2e-8)
    if atoms.pbc.all():
        np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, 1e-5), atol=1e-8)


def test_batch_equals_single_calls(calculator):
    images = [ethanol(), ase.Atoms("H"), ethanol()[:4]]
    if math.isfinite(calculator.potential.cutoff):
        images.append(skewed_silicon())
    for together, image in zip(calculator.evaluate(images), images, strict=True):
        (alone,) = calculator.evaluate([image])
        np.testing.assert_allclose(together.energies, alone.energies, atol=1e-9)
        np.testing.assert_allclose(together.forces, alone.forces, atol=1e-9)
        np.testing.assert_allclose(together.virial, alone.virial, atol=3e-9)


def test_engines_agree(path, atoms, dtype):
    """Tensor operations as CUDA takes them too; kernels in ``test_kernels.py``."""
    tolerance = {"float32": 1e-5, "float64": 5e-6}[dtype]
    script, compiled = (
        SchNetCalculator(path, device="cpu", engine=engine, dtype=dtype)
        for engine in ("script", "compiled")
    )
    assert (script.engine.name, compiled.engine.name) == ("script", "compiled")
    (expected,), (found,) = script.evaluate([atoms]), compiled.evaluate([atoms])
    np.testing.assert_allclose(found.energies, expected.energies, atol=2 * tolerance)
    np.testing.assert_allclose(found.forces, expected.forces, atol=tolerance)
    np.testing.assert_allclose(found.virial, expected.virial, atol=5 * tolerance)
    cuda = CudaEngine(script.potential, torch.device("cpu"), getattr(torch, dtype), make=TensorSequence)
    (found,) = cuda.evaluate([Structure.from_atoms(atoms)])
    np.testing.assert_allclose(found.energies, expected.energies, atol=2 * tolerance)
    np.testing.assert_allclose(found.forces, expected.forces, atol=tolerance)


def test_hessians_agree(path):
    script, compiled = (
        SchNetCalculator(path, device="cpu", engine=engine).hessian(ethanol())
        for engine in ("script", "compiled")
    )
    np.testing.assert_allclose(compiled, script, atol=2e-5 * np.abs(script).max())


def test_atoms_beyond_the_tables(tmp_path):
    """Without a cutoff function pairs of any length count, and filters end where the Gaussians do."""
    path = write_model(tmp_path / "all.pt", cutoff_function="none")
    far = ase.Atoms("COH", [(0, 0, 0), (0, 0, 9.0), (0, 40.0, 0)])
    script, compiled = (
        SchNetCalculator(path, device="cpu", engine=engine).evaluate([far])[0]
        for engine in ("script", "compiled")
    )
    np.testing.assert_allclose(compiled.energies, script.energies, atol=1e-6)
    np.testing.assert_allclose(compiled.forces, script.forces, atol=1e-6)
