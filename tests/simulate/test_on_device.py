"""Ring polymers as tensors of a device, here of the CPU: what arrays give, and nothing but outputs leaves it."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from helpers import ethanol, pimd_rows, pimd_settings, write_model
from schnet_calc import load_model
from schnet_calc.engine import CudaEngine
from schnet_calc.ipi import StructureError
from schnet_calc.kernels.torch.evaluation import TensorSequence
from schnet_calc.simulate.ring_polymer_run import BeadForces, run_ring_polymers
from schnet_calc.simulate.ring_polymers import HBAR, THERMOSTATS, Bath, Integrator, on_host
from schnet_calc.structures.neighbors import NeighborLists
from schnet_calc.structures.structure import Structure
from schnet_calc.studies.c20 import dodecahedron

CPU = torch.device("cpu")


@pytest.mark.parametrize("thermostat", THERMOSTATS)
@pytest.mark.parametrize("beads", [1, 4])
def test_tensors_move_as_arrays_do(beads, thermostat):
    """Harmonic wells: the same random numbers, the same everything but for rounding, which svr makes grow."""
    found = []
    for device in (None, CPU):
        integrator = Integrator(np.ones(3), beads, 0.5, Bath(300.0, thermostat, 20.0), device)
        s = integrator.start(np.zeros((2, 3, 3)), [0, 1])
        for step in range(50):
            if step:
                integrator.begin(s)
            places = integrator.places(s)
            pull = (0.1 / HBAR) ** 2
            integrator.take(s, 0.5 * pull * (places**2).sum(axis=(2, 3)), -pull * places)
            if step:
                integrator.finish(s)
        assert all(torch.is_tensor(x) is (device is not None) for x in (s.positions, s.forces, s.heat))
        found.append([on_host(x) for x in (places, s.momenta, *integrator.properties(s).values())])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-7, atol=1e-9)


def on_tensors(source, **settings):
    """A model whose engine is that of GPUs, unrecorded on the CPU."""
    model = load_model(source, device="cpu", dtype="float64", **settings)
    model.engine = CudaEngine(model.potential, CPU, torch.float64, model.lists, make=TensorSequence)
    return model


def test_a_run_on_a_device_writes_the_same_rows(folder, models, monkeypatch):
    """As with arrays, and once more where it was interrupted; arrays aren't asked for."""
    settings = pimd_settings(
        beads=2, time=0.001, timestep=0.1, stride=2, method="trpmd", time_constant=0.02
    )
    model = on_tensors(models["float64"], on_doubt="ignore")
    run_ring_polymers(
        ethanol(), load_model(models["float64"], device="cpu"), settings, folder / "arrays", replicas=2
    )
    monkeypatch.setattr(model, "totals", None)

    def stop(step, row):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_ring_polymers(ethanol(), model, settings, folder / "part", replicas=2, progress=stop)
    run_ring_polymers(ethanol(), model, settings, folder / "part", replicas=2, resume=True)
    run_ring_polymers(ethanol(), model, settings, folder / "whole", replicas=2)
    for k in (0, 1):
        rows = {n: pimd_rows(folder / n / f"replica_{k}") for n in ("arrays", "part", "whole")}
        np.testing.assert_array_equal(rows["part"], rows["whole"])
        np.testing.assert_allclose(rows["whole"], rows["arrays"], rtol=0, atol=2e-6)


def test_beads_on_a_device_are_doubted_and_refused_by_name(folder):
    atoms = dodecahedron()
    atoms.positions *= 1.3
    short = pimd_settings(beads=2, time=0.001)
    found = [
        run_ring_polymers(atoms, model, short, folder / name, replicas=2).doubts
        for name, model in (
            ("tensors", on_tensors("c20")),
            ("arrays", load_model("c20", device="cpu", dtype="float64")),
        )
    ]
    assert found[0].count == found[1].count >= 4 * short.n_steps
    assert found[0].reason == found[1].reason
    forces = BeadForces(on_tensors("c20"), atoms, 6)
    places = torch.from_numpy(np.tile(atoms.positions, (2, 3, 1, 1)))
    places[1, 0, 3] = places[1, 0, 4]
    with pytest.raises(StructureError, match="bead 0 of replica 1: structure 3: atoms 3 and 4"):
        forces(places)


def silicon_beads(model, count=4):
    """Forces, and where beads of a crystal are that has left its cell."""
    atoms = bulk("Si", cubic=True)
    atoms.positions -= 3.0
    atoms.rattle(0.1, seed=3)
    forces = BeadForces(model, atoms, count)
    return forces, torch.from_numpy(np.tile(atoms.positions, (1, count, 1, 1)))


def test_lists_of_crystals_are_made_where_atoms_have_moved_far(models, monkeypatch):
    """As often as they must be, by the moves on the device; who else looks at a bead has the same."""
    model = on_tensors(models["float64"], on_doubt="ignore")
    forces, places = silicon_beads(model)
    exact, renewed = load_model(models["float64"], device="cpu", on_doubt="ignore"), []
    of = NeighborLists.renewed
    monkeypatch.setattr(NeighborLists, "renewed", lambda *a: renewed.append(a[1]) or of(*a))
    torch.manual_seed(1)
    for step in range(30):
        places += 0.03 * torch.randn(places.shape, dtype=torch.float64)
        energies, found = forces(places)
        if step % 3 == 0:
            expected = exact.totals(forces._at(places[0]))
            np.testing.assert_allclose(energies[0], expected.energies, atol=1e-8)
            np.testing.assert_allclose(found[0], expected.forces, atol=1e-8)
    last = forces.first._replace(positions=places[0, 1].numpy())
    assert model.lists.pairs(1, last, model.potential.cutoff) is forces.resident._pairs[1]
    assert renewed[:4] == [0, 1, 2, 3]
    assert 8 <= len(renewed) <= 60
    assert len(renewed) % 4 == 0


def test_rows_of_a_crystal(folder, models):
    settings = pimd_settings(beads=2, time=0.002, timestep=0.2)
    for name, model in (
        ("tensors", on_tensors(models["float64"])),
        ("arrays", load_model(models["float64"], device="cpu")),
    ):
        run_ring_polymers(bulk("Si", cubic=True), model, settings, folder / name, replicas=2)
    for k in (0, 1):
        rows = [pimd_rows(folder / name / f"replica_{k}") for name in ("tensors", "arrays")]
        np.testing.assert_allclose(*rows, rtol=0, atol=2e-6)


def test_beads_of_a_crystal_that_cannot_be_evaluated(models, monkeypatch):
    """Errors are those of arrays; where memory is short, beads are evaluated by halves."""
    model = on_tensors(models["float64"], on_doubt="ignore")
    forces, places = silicon_beads(model)
    _, expected = forces(places)
    lost = places.clone()
    lost[0, 2, 1, 0] = np.nan
    with pytest.raises(StructureError, match="bead 2 of replica 0: structure 2: position of atom 1 is not"):
        forces(lost)
    lost[0, 2, 1] = lost[0, 2, 0]
    with pytest.raises(StructureError, match="bead 2 of replica 0: structure 2: atoms 0 and 1 are at the"):
        forces(lost)
    sequence = model.engine.sequence

    class Short:
        def __getattr__(self, name):
            return getattr(sequence, name)

        def __call__(self, batch):
            if len(batch.numbers) > 2 * 8:
                raise torch.OutOfMemoryError("out of memory")
            return sequence(batch)

    model.engine.sequence = Short()
    model.engine.forget()
    _, found = forces(places)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_who_stays_with_arrays(folder, models):
    """The CPU, batches that are too large for one call, and what has no list of neighbours."""
    crystal, ethanols = (Structure.from_atoms(a) for a in (bulk("Si", cubic=True), ethanol()))
    model = on_tensors(models["float64"])
    for structure in (crystal, ethanols):
        assert model.resident(structure, 2).device == CPU
        assert load_model(models["float64"], device="cpu").resident(structure, 2) is None
    model.engine.memory = 180 * model.engine.pair_bytes
    assert model.resident(crystal, 1) is not None
    assert model.resident(crystal, 3) is None
    flat = crystal._replace(cell=np.diag([5.0, 5.0, 0.0]))
    assert model.resident(flat, 1) is None  # the first evaluation says why
    far = on_tensors(write_model(folder / "far.pt", cutoff_function="none"))
    assert far.resident(crystal, 1) is None
