"""Input files, estimators, output files, committees and memory: what needs no running i-PI."""

import json
import xml.etree.ElementTree as ElementTree

import ase.io
import numpy as np
import pytest
import torch
from ase import units
from ase.build import bulk, molecule
from conftest import ethanol, write_model

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.path_integrals import (
    block_average,
    harmonic_energy,
    heat_capacity,
    path_integral_estimators,
)
from schnet_calc.ipi import Address, ProtocolError, StructureError
from schnet_calc.ipi.evaluator import Evaluator
from schnet_calc.ipi.input import PIMDSettings, i_pi_structure, write_input
from schnet_calc.ipi.outputs import cut_outputs, last_checkpoint, read_frames
from schnet_calc.ipi.pes import SchNetPES
from schnet_calc.ipi.wire import Request
from schnet_calc.structures.structure import Structure


def settings(**options) -> PIMDSettings:
    return PIMDSettings(**{"beads": 4, "temperature": 300.0, "time": 1.0, **options})


def ring_polymer(beads: int, temperature: float, quantum: float, n: int, seed: int = 0) -> dict:
    """Exact samples of one oscillator's ring polymer along x, as the columns i-PI would write."""
    beta = 1 / (units.kB * temperature)
    springs = 2 * beads / beta * np.sin(np.pi * np.arange(beads) / beads)
    rng = np.random.default_rng(seed)
    # Coordinates in units where the potential is quantum² q² / 2 and the weight exp(-beta/P ...).
    modes = rng.normal(size=(n, beads)) * np.sqrt(beads / beta / (quantum**2 + springs**2))
    potential = 0.5 * quantum**2 * (modes**2).mean(axis=1)
    spring = 0.5 * (springs**2 * modes**2).mean(axis=1)
    virial = 0.5 / beta + 0.5 * quantum**2 * (modes[:, 1:] ** 2).sum(axis=1) / beads
    thermodynamic = 0.5 * beads / beta - spring
    return {
        "potential": potential,
        "kinetic_cv": virial,
        "kinetic_td": thermodynamic,
        "r_gyration": np.sqrt((modes[:, 1:] ** 2).sum(axis=1) / beads),
        "temperature": np.full(n, temperature),
    }


@pytest.mark.parametrize("beads", [1, 2, 8, 32])
def test_estimators_of_an_oscillator_are_exact(beads):
    temperature, quantum = 300.0, 0.1
    table = ring_polymer(beads, temperature, quantum, 200_000)
    # One degree of freedom, a third of an atom.
    found = path_integral_estimators(table, n_atoms=1 / 3, temperature=temperature)
    exact = harmonic_energy(quantum, temperature, beads)
    step = 0.5
    slope = (
        harmonic_energy(quantum, temperature + step, beads)
        - harmonic_energy(quantum, temperature - step, beads)
    ) / (2 * step * units.kB)
    for estimate, expected in ((found.energy, exact), (found.heat_capacity, slope)):
        assert abs(estimate.value - expected) < 5 * estimate.error
        assert estimate.error < 0.1 * max(expected, 0.1)
    assert abs(found.kinetic_thermodynamic.value - found.kinetic_virial.value) < 5 * (
        found.kinetic_thermodynamic.error + 1e-12
    )


def test_the_primitive_approximation_lies_between_classical_and_quantum():
    temperature, quantum = 300.0, 0.1
    thermal = units.kB * temperature
    assert harmonic_energy(quantum, temperature, 1) == pytest.approx(thermal)
    exact = quantum / 2 / np.tanh(quantum / 2 / thermal)
    assert harmonic_energy(quantum, temperature, 4096) == pytest.approx(exact, rel=1e-4)


def test_errors_of_blocks():
    values = np.random.default_rng(0).normal(size=100_000)
    assert block_average(values, 50).error == pytest.approx(1 / np.sqrt(100_000), rel=0.4)
    with pytest.raises(ValueError, match="3 values are too few for 10 blocks"):
        block_average(values[:3])
    with pytest.raises(ValueError, match="too few"):
        heat_capacity(values[:3], values[:3], 1, 300.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beads": 0}, "beads must be positive, got 0"),
        ({"temperature": -1.0}, "temperature must be positive"),
        ({"thermostat": "berendsen"}, "thermostat is one of pile_g, .*got 'berendsen'"),
        ({"transport": "pigeon"}, "transport is one of direct, socket"),
        ({"time": 1e-5}, "shorter than a timestep"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        settings(**options)


def test_input_is_xml_that_says_what_was_asked(tmp_path):
    path = write_input(
        ethanol(), settings(transport="socket", seed=7), tmp_path, model="a--b", address=Address(port=999)
    )
    root = ElementTree.parse(path).getroot()
    socket = root.find("ffsocket")
    assert socket.get("mode") == "inet"
    assert [socket.find(k).text.strip() for k in ("address", "port", "batch_size")] == [
        "localhost",
        "999",
        "4",
    ]
    assert root.find("prng/seed").text.strip() == "7"
    assert root.find("total_steps").text.strip() == "2000"
    assert not (tmp_path / "pes.py").exists()
    with pytest.raises(ValueError, match=r"can't hold the model 'x:y.pt'"):
        write_input(ethanol(), settings(), tmp_path, model="x:y.pt")


def test_structures_for_i_pi_keep_distances_masses_and_volume():
    atoms = bulk("Si")
    atoms.rattle(0.1, seed=0)
    atoms.rotate(30, "xyz", rotate_cell=True)
    atoms.set_masses([28.0, 30.0])
    turned = i_pi_structure(atoms)
    np.testing.assert_allclose(np.triu(turned.cell.array, 1), 0, atol=1e-12)
    np.testing.assert_allclose(turned.get_volume(), atoms.get_volume())
    np.testing.assert_allclose(turned.get_all_distances(mic=True), atoms.get_all_distances(mic=True))
    np.testing.assert_array_equal(turned.get_masses(), [28.0, 30.0])
    boxed = i_pi_structure(ethanol())
    assert not boxed.pbc.any()
    assert boxed.get_volume() > 50**3


def frames_text(steps) -> str:
    return "".join(
        f"2\n# CELL(abcABC): 9.0 9.0 9.0 90.0 90.0 90.0  Step: {s}  Bead: 0 positions{{angstrom}}\n"
        f" H 0 0 {s}\n H 0 0 1\n"
        for s in steps
    )


def output(folder, steps, checkpoints) -> None:
    rows = "".join(f" {float(s):.16e} 1.0\n" for s in steps)
    (folder / "simulation.out").write_text(
        "# column 1 --> step : the step\n# column 2 --> potential{eV} : e\n" + rows
    )
    (folder / "simulation.pos_0.xyz").write_text(frames_text(steps))
    for k, step in enumerate(checkpoints):
        (folder / f"simulation.checkpoint_{k}").write_text(f"<simulation><step>{step}</step></simulation>")


def test_frames_have_their_steps_and_cell(tmp_path):
    (tmp_path / "t.xyz").write_text(frames_text([0, 10, 120]))
    frames = read_frames(tmp_path / "t.xyz")
    assert [f.info["step"] for f in frames] == [0, 10, 120]
    assert frames[2].positions[0, 2] == 120
    np.testing.assert_allclose(frames[0].cell.lengths(), 9.0)


def test_a_checkpoint_ahead_of_the_rows_on_disk_is_not_used(tmp_path):
    output(tmp_path, [0, 10, 20, 30], [20, 40])
    path, step = last_checkpoint(tmp_path, 10, 10)
    assert (path.name, step) == ("simulation.checkpoint_0", 20)
    (tmp_path / "simulation.checkpoint_0").write_text("<simulation><step>20</st")
    assert last_checkpoint(tmp_path, 10, 10) is None


def test_outputs_are_cut_to_the_checkpoint(tmp_path):
    output(tmp_path, [0, 10, 20, 30], [20, 40])
    with (tmp_path / "simulation.pos_0.xyz").open("a") as stream:
        stream.write("2\n# Step: 40\n H 0 0")
    cut_outputs(tmp_path, 20)
    assert len(read_frames(tmp_path / "simulation.pos_0.xyz")) == 3
    assert (tmp_path / "simulation.out").read_text().count("\n") == 2 + 3
    assert not (tmp_path / "simulation.checkpoint_1").exists()


@pytest.fixture
def committee(tmp_path):
    torch.manual_seed(0)
    paths = [write_model(tmp_path / f"{k}.pt", n_features=8 * (k + 1)) for k in range(3)]
    return SchNetCalculator(paths, device="cpu"), [SchNetCalculator(p, device="cpu") for p in paths]


def test_a_committee_averages_its_members(committee):
    together, alone = committee
    atoms = ethanol()
    atoms.calc = together
    forces = []
    for calculator in alone:
        copy = atoms.copy()
        copy.calc = calculator
        forces.append(copy.get_forces())
    np.testing.assert_allclose(atoms.get_forces(), np.mean(forces, axis=0), atol=1e-12)
    np.testing.assert_allclose(together.results["forces_std"], np.std(forces, axis=0, ddof=1), atol=1e-12)
    assert together.results["energy_std"] > 0
    np.testing.assert_allclose(
        together.hessian(atoms), np.mean([c.hessian(atoms) for c in alone], axis=0), atol=1e-10
    )


def test_extras_hold_what_i_pi_reads_of_committees(committee):
    together, alone = committee
    atoms = ethanol()
    evaluate = Evaluator(together.engine, atoms, energies=True)
    reply = evaluate(Request(np.eye(3)[None] * 40, atoms.positions[None] / units.Bohr))
    extras = json.loads(reply.extras[0])
    assert np.mean(extras["committee_pot"]) == pytest.approx(reply.energies[0], abs=1e-12)
    np.testing.assert_allclose(
        np.mean(extras["committee_force"], axis=0), reply.forces[0].ravel(), atol=1e-12
    )
    np.testing.assert_allclose(np.mean(extras["committee_virial"], axis=0), reply.virials[0], atol=1e-12)
    assert len(extras["committee_pot"]) == len(alone)
    assert sum(extras["energies"]) == pytest.approx(reply.energies[0] * units.Hartree)
    assert "raw" not in extras


def test_units_and_signs_are_those_of_ase(models):
    atoms = bulk("Si") * (2, 1, 1)
    atoms.rattle(0.1, seed=0)
    atoms.calc = SchNetCalculator(models["float64"], device="cpu")
    reply = Evaluator(atoms.calc.engine, atoms)(
        Request(atoms.cell.array.T[None] / units.Bohr, atoms.positions[None] / units.Bohr)
    )
    assert reply.energies[0] * units.Hartree == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(reply.forces[0] * units.Hartree / units.Bohr, atoms.get_forces(), atol=1e-12)
    stress = -reply.virials[0] * units.Hartree / atoms.get_volume()
    np.testing.assert_allclose(stress, atoms.get_stress(voigt=False), atol=1e-12)


def test_the_structure_that_fails_is_found(models):
    atoms = ethanol()
    evaluate = Evaluator(SchNetCalculator(models["float64"], device="cpu").engine, atoms)
    positions = np.stack([atoms.positions] * 3) / units.Bohr
    positions[1, 0] = positions[1, 1]
    with pytest.raises(StructureError, match="structure 1: atoms 0 and 1 are at the same place") as caught:
        evaluate(Request(np.stack([np.eye(3) * 40] * 3), positions))
    np.testing.assert_allclose(caught.value.positions, positions[1] * units.Bohr)


def test_a_batch_that_fails_as_a_whole_is_evaluated_one_by_one(models, monkeypatch):
    atoms = ethanol()
    evaluate = Evaluator(SchNetCalculator(models["float64"], device="cpu").engine, atoms)
    request = Request(np.stack([np.eye(3) * 40] * 3), np.stack([atoms.positions] * 3) / units.Bohr)
    expected, whole = evaluate(request), evaluate.engine.evaluate

    def alone(structures):
        if len(structures) > 1:
            raise FloatingPointError("not finite")
        return whole(structures)

    monkeypatch.setattr(evaluate.engine, "evaluate", alone)
    np.testing.assert_allclose(evaluate(request).forces, expected.forces, atol=1e-12)


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


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("The following operation failed in the TorchScript interpreter: CUDA out of memory"),
    ],
)
def test_too_little_memory_halves_the_batch(models, monkeypatch, error):
    engine = SchNetCalculator(models["float64"], device="cpu").engine
    structures = [Structure.from_atoms(ethanol()) for _ in range(7)]
    expected = engine.evaluate(structures)
    sizes, whole = [], engine._evaluate

    def limited(batch):
        sizes.append(len(batch))
        if len(batch) > limit:
            raise error
        return whole(batch)

    monkeypatch.setattr(engine, "_evaluate", limited)
    limit = 2
    found = engine.evaluate(structures)
    assert [p.energy for p in found] == pytest.approx([p.energy for p in expected], abs=1e-12)
    assert max(sizes) == 7
    limit = 0
    with pytest.raises(MemoryError, match="a structure of 9 atoms needs more memory"):
        engine.evaluate(structures)


def test_other_runtime_errors_stay_what_they_are(models, monkeypatch):
    engine = SchNetCalculator(models["float64"], device="cpu").engine

    def broken(batch):
        raise RuntimeError("something else")

    monkeypatch.setattr(engine, "_evaluate", broken)
    with pytest.raises(RuntimeError, match="something else"):
        engine.evaluate([Structure.from_atoms(ethanol())] * 2)
