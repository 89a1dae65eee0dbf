"""Models of other codes: changed, evaluated, compared with the equations alone."""

import copy

import ase.neighborlist
import numpy as np
import pytest
import torch
from ase import Atoms, units

from modelfile.foreign_models import (
    NUMBERS,
    POSITIONS,
    SPK,
    Plain,
    make,
)
from schnet_calc.modelfile.importers import Imported

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


def evaluate_within(imported: Imported, structure: Atoms):
    """Energy and forces by autograd, pairs within the cutoff only."""
    boxed = structure.copy()
    boxed.set_cell([50.0, 50.0, 50.0])
    boxed.pbc = True
    return evaluate(imported, boxed)


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


def with_member(model: torch.nn.Module, where: str, **members: object) -> torch.nn.Module:
    """Change a module within a model."""
    inner = model.get_submodule(where)
    for name, value in members.items():
        setattr(inner, name, value)
    return model


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
