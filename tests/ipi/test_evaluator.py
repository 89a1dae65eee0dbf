"""From i-PI's arrays to a batch and back; i-PI's own process does the same."""

import json

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase import units
from ase.build import bulk, molecule

from helpers import REFERENCES, ethanol, random_network
from schnet_calc import SchNetCalculator, load_model
from schnet_calc.ipi import ProtocolError, StructureError
from schnet_calc.ipi.evaluator import Evaluator
from schnet_calc.ipi.pes import SchNetPES
from schnet_calc.ipi.wire import Request
from schnet_calc.modelfile import save_model


def test_extras_hold_what_i_pi_reads_of_committees(members):
    atoms = ethanol()
    evaluate = Evaluator(load_model(members, device="cpu"), atoms, energies=True)
    reply = evaluate(Request(np.eye(3)[None] * 40, atoms.positions[None] / units.Bohr))
    extras = json.loads(reply.extras[0])
    assert np.mean(extras["committee_pot"]) == pytest.approx(reply.energies[0], abs=1e-12)
    np.testing.assert_allclose(
        np.mean(extras["committee_force"], axis=0), reply.forces[0].ravel(), atol=1e-12
    )
    np.testing.assert_allclose(np.mean(extras["committee_virial"], axis=0), reply.virials[0], atol=1e-12)
    assert len(extras["committee_pot"]) == len(members)
    assert sum(extras["energies"]) == pytest.approx(reply.energies[0] * units.Hartree)
    assert "raw" not in extras


def test_units_and_signs_are_those_of_ase(models):
    atoms = bulk("Si") * (2, 1, 1)
    atoms.rattle(0.1, seed=0)
    atoms.calc = SchNetCalculator(models["float64"], device="cpu")
    reply = Evaluator(atoms.calc.model, atoms)(
        Request(atoms.cell.array.T[None] / units.Bohr, atoms.positions[None] / units.Bohr)
    )
    assert reply.energies[0] * units.Hartree == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(reply.forces[0] * units.Hartree / units.Bohr, atoms.get_forces(), atol=1e-12)
    stress = -reply.virials[0] * units.Hartree / atoms.get_volume()
    np.testing.assert_allclose(stress, atoms.get_stress(voigt=False), atol=1e-12)


def test_the_structure_that_fails_is_found(models):
    atoms = ethanol()
    evaluate = Evaluator(load_model(models["float64"], device="cpu"), atoms)
    positions = np.stack([atoms.positions] * 3) / units.Bohr
    positions[1, 0] = positions[1, 1]
    with pytest.raises(StructureError, match="structure 1: atoms 0 and 1 are at the same place") as caught:
        evaluate(Request(np.stack([np.eye(3) * 40] * 3), positions))
    np.testing.assert_allclose(caught.value.positions, positions[1] * units.Bohr)


def test_the_structure_without_a_force_is_found(tmp_path):
    """What is wrong only when it has been evaluated, and what a guard refuses, have places in the batch too."""
    network = random_network()
    with torch.no_grad():
        network.basis.centers[0] = np.nan
    save_model(tmp_path / "bad.pt", network, REFERENCES)
    pair = ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.2)])
    evaluate = Evaluator(load_model(tmp_path / "bad.pt", device="cpu", engine="script"), pair)
    positions = np.stack([pair.positions] * 3) / units.Bohr
    positions[[0, 2], 1] += 99.0  # out of sight of each other
    with pytest.raises(StructureError, match=r"structure 1: the model returned .* not finite") as caught:
        evaluate(Request(np.stack([np.eye(3) * 40] * 3), positions))
    assert caught.value.index == 1


@pytest.mark.parametrize("n_atoms", [1, 2, 4])
def test_pes_names_both_numbers_of_atoms(models, tmp_path, n_atoms):
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    pes = SchNetPES(str(models["float64"]), str(tmp_path / "water.xyz"), device="cpu")
    with pytest.raises(ProtocolError, match=rf"sends {n_atoms} atoms, but the structure given here has 3"):
        pes(np.eye(3) * 40, np.zeros((n_atoms, 3)))


def test_pes_takes_one_structure_and_lists(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = molecule("H2O")
    ase.io.write("water.xyz", atoms)
    pes = SchNetPES(str(models["float64"]), "water.xyz", device="cpu", energies="True", verbosity=1)
    positions = atoms.positions / units.Bohr
    energy, forces, virial, extras = pes(np.eye(3) * 40, positions)
    batch = pes([np.eye(3) * 40] * 2, [positions, positions])
    assert batch[1][0] == energy
    np.testing.assert_array_equal(batch[0][1], forces)
    assert virial.shape == (3, 3)
    assert len(json.loads(extras)["energies"]) == 3
    with pytest.raises(StructureError, match="same place"):
        pes(np.eye(3) * 40, positions * 0)
    assert len(ase.io.read("failed_structure.xyz")) == 3
