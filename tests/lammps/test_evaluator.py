"""The distributed evaluator, on stand-ins for MPI's ranks."""

import sys
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import VARIANTS, graded_file, rattled, write_model
from schnet_calc import load_model
from schnet_calc.errors import BadStructureError, DoubtfulStructureError
from schnet_calc.guard.check import DomainCheck
from schnet_calc.guard.domain import Domain
from schnet_calc.lammps.evaluator import DistributedEvaluator, RankResults
from schnet_calc.lammps.guard import RankGuard
from schnet_calc.lammps.pairs import find_pairs
from schnet_calc.structures.neighbors import half_pairs
from schnet_calc.structures.structure import Structure

sys.path.insert(0, str(Path(__file__).parent))
from standin import StandInRanks, evaluate, on_ranks, surroundings

REACH = 4.7


def carbide() -> ase.Atoms:
    """A skewed cell of two elements, in places shorter than the cutoff."""
    atoms = bulk("Si", cubic=True)
    atoms.set_cell([[5.43, 0, 0], [0.7, 5.2, 0], [0.4, -0.9, 3.6]], scale_atoms=True)
    atoms.numbers[::3] = 6
    atoms.rattle(0.1, seed=1)
    return atoms


def slab() -> ase.Atoms:
    """Periodic along two directions."""
    atoms = bulk("Si", cubic=True)
    atoms.pbc = (True, True, False)
    atoms.rattle(0.1, seed=2)
    return atoms


def ethanol() -> ase.Atoms:
    return molecule("CH3CH2OH")


STRUCTURES = {"carbide": carbide, "slab": slab, "ethanol": ethanol}


@pytest.mark.parametrize("owners", ["one", "two", "four", "empty"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_ranks_agree_with_one_process(name, owners, models):
    atoms, model = STRUCTURES[name](), load_model(models["float64"], device="cpu", on_doubt="ignore")
    k = np.arange(len(atoms))
    owner = {"one": 0 * k, "two": k % 2, "four": k % 4, "empty": 2 * (k % 2)}[owners]
    energies, forces, virial, _ = evaluate(lambda: DistributedEvaluator(model), atoms, owner, REACH)
    expected = model.evaluate([atoms])[0]
    np.testing.assert_allclose(energies, expected.energies, rtol=1e-13)
    np.testing.assert_allclose(forces, expected.forces, atol=1e-12)
    np.testing.assert_allclose(virial, expected.virial, atol=1e-11)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v not in ("mean", "no cutoff")])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_every_schnet(variant, kind, tmp_path):
    path = write_model(tmp_path / "m.pt", kind, n_interactions=3, **VARIANTS[variant])
    model, atoms = load_model(path, device="cpu", on_doubt="ignore"), carbide()
    found = evaluate(lambda: DistributedEvaluator(model), atoms, np.arange(len(atoms)) % 2, REACH)
    expected = model.evaluate([atoms])[0]
    tolerance = 1e-11 if kind == "float64" else 3e-5
    for ours, theirs in zip(found, (expected.energies, expected.forces, expected.virial), strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_committee(members):
    model, atoms = load_model(members, device="cpu", on_doubt="ignore"), carbide()
    owner = np.arange(len(atoms)) % 2
    _, forces, virial, shares = evaluate(lambda: DistributedEvaluator(model), atoms, owner, REACH)
    expected = model.evaluate([atoms])[0]
    np.testing.assert_allclose(forces, expected.forces, atol=1e-12)
    np.testing.assert_allclose(virial, expected.virial, atol=1e-11)
    for rank in (0, 1):
        np.testing.assert_allclose(shares[rank].forces_std, expected.forces_std[owner == rank], atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "mean"}, "averages over atoms"),
        ({"cutoff_function": "none"}, "has no cutoff"),
        ({"architecture": "DTNN"}, "LAMMPS runs SchNets on the CPU only"),
    ],
)
def test_models_that_cannot_be_shared_out(options, message, tmp_path):
    model = load_model(write_model(tmp_path / "m.pt", **options), device="cpu")
    with pytest.raises(ValueError, match=message):
        DistributedEvaluator(model)


def test_unknown_element(models):
    evaluator = DistributedEvaluator(load_model(models["float64"], device="cpu"))
    evaluator.check_elements(np.array([1, 14]))
    with pytest.raises(BadStructureError, match="knows H, C, O, Si, not Ge"):
        evaluator.check_elements(np.array([14, 32]))


def test_coincident_atoms_are_called_by_their_ids(models):
    model, atoms = load_model(models["float64"], device="cpu"), ethanol()
    atoms.positions[5] = atoms.positions[2]
    with pytest.raises(BadStructureError, match="atoms 2 and 5 are at the same place"):
        evaluate(lambda: DistributedEvaluator(model), atoms, np.zeros(len(atoms), int), REACH)


def test_pairs_are_complete():
    rng = np.random.default_rng(0)
    positions = rng.uniform(-9.0, 9.0, (150, 3))
    home = np.arange(150)
    i, j = find_pairs(positions, home, 60, 4.0, guess=1)
    found = set(zip(i.tolist(), j.tolist(), strict=True))
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    expected = {(a, q) for a in range(60) for q in range(a + 1, 150) if distances[a, q] < 4.0}
    assert found == expected
    assert len(i) == len(expected)
    assert not len(find_pairs(positions, home, 0, 4.0)[0])


@pytest.fixture
def guarded(models):
    """A model that has seen perfect silicon only."""
    model = load_model(models["float64"], device="cpu")
    domain = Domain.of([Structure.from_atoms(bulk("Si", cubic=True))])
    return model, domain


@pytest.mark.parametrize("action", ["warn", "stop"])
def test_guard_acts_on_all_ranks_together(action, guarded, caplog):
    model, domain = guarded
    model.guard.on_doubt = action
    atoms = bulk("Si", cubic=True)
    atoms.positions[3] += 0.9
    owner = np.arange(len(atoms)) // 4  # the first rank alone has an atom out of place
    guards = [RankGuard(model, np.array([14])) for _ in range(2)]
    for guard in guards:
        guard.domain, guard.reach = domain, 3.4

    def call(world, rank):
        around = surroundings(atoms, np.flatnonzero(owner == rank), REACH)
        share = RankResults(np.zeros(4), np.zeros((4, 3)), np.zeros((3, 3)), None)
        try:
            guards[rank].act(StandInRanks(world, rank), guards[rank].reasons(around, share))
        except DoubtfulStructureError as error:
            return str(error)
        return ""

    texts = on_ranks(2, call)
    alone = DomainCheck(domain).reasons(
        Structure.from_atoms(atoms), half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, 3.4)
    )
    alone = [
        reason for reason in alone if not reason.startswith(("the bond", "the angle"))
    ]  # not over ranks
    if action == "stop":
        assert (
            texts[0] == texts[1] == f"the structure is outside of what the model knows: {'; '.join(alone)}"
        )
    else:
        assert [r.getMessage().split(": ", 1)[1] for r in caplog.records] == ["; ".join(alone)]


def test_committee_in_doubt(members):
    model = load_model(members, device="cpu", max_forces_std=0.1)
    guard, around = RankGuard(model, np.array([6, 14])), surroundings(carbide(), np.arange(8), REACH)
    spread = np.zeros((8, 3))
    share = RankResults(np.zeros(8), np.zeros((8, 3)), np.zeros((3, 3)), spread)
    assert guard.reasons(around, share) == []
    spread[5, 1] = 0.2
    assert guard.reasons(around, share) == [
        "the committee's forces on atom 5 have a standard deviation of 0.2 eV/Å, max_forces_std is 0.1"
    ]


@pytest.mark.parametrize("owners", [np.arange(8) % 3, 2 * (np.arange(8) % 2)])
def test_grades_are_those_of_one_process(owners, tmp_path):
    """Ranks without atoms, too; and the one that has the worst atom names it."""
    path = graded_file(tmp_path / "m.pt", rattled(carbide(), 30, 0.05))
    model, atoms = load_model(path, device="cpu"), rattled(carbide(), 1, 0.3)[0]
    expected = model.evaluate([atoms])[0].grades
    *_, shares = evaluate(lambda: DistributedEvaluator(model), atoms, owners, REACH)
    for rank, share in enumerate(shares):
        np.testing.assert_allclose(share.grades, expected[owners == rank], rtol=1e-9)
    worst = int(expected.argmax())
    own = np.flatnonzero(owners == owners[worst])
    guard = RankGuard(model, np.array([6, 14]))
    reasons = guard.reasons(surroundings(atoms, own, REACH), shares[owners[worst]])
    assert expected.max() > 1
    assert f" {worst} (" in reasons[-1]
    quiet = load_model(path, device="cpu", on_doubt="ignore")
    assert evaluate(lambda: DistributedEvaluator(quiet), atoms, owners, REACH)[3][0].grades is None


def test_wild_energies_are_doubted_on_all_ranks(models):
    """By the sum over ranks: each rank's own energy may be odd or not."""
    atoms = bulk("Si", cubic=True)
    structure = Structure.from_atoms(atoms)
    domain = Domain.of([structure, structure], np.array([-40.0, -32.0]))

    def call(world, rank, energies):
        guard = RankGuard(load_model(models["float64"], device="cpu"), np.array([14]))
        guard.domain, ranks = domain, StandInRanks(world, rank)
        guard.compositions(ranks, atoms.numbers[:4], periodic=True)
        share = RankResults(np.full(4, energies[rank]), np.zeros((4, 3)), np.zeros((3, 3)), None)
        return guard.energies(ranks, share)

    alone = DomainCheck(domain).reasons(
        structure, half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, 3.4), -20.0
    )
    assert alone == ["the energy is -2.5 eV/atom, in the training data -5 to -4"]
    assert on_ranks(2, lambda world, rank: call(world, rank, (-1.0, -4.0))) == [alone, alone]
    assert on_ranks(2, lambda world, rank: call(world, rank, (-2.0, -5.0))) == [[], []]


def test_compositions(guarded):
    model, domain = guarded
    guard = RankGuard(model, np.array([6, 14]))
    guard.domain = domain
    found = on_ranks(
        2,
        lambda world, rank: [
            guard.compositions(StandInRanks(world, rank), np.array(numbers), periodic=True)
            for numbers in ([14] * 500, [[6], [14]][rank] * 500)
        ],
    )
    assert found == 2 * [[[], ["CSi, periodic, but the model was trained on Si, periodic only"]]]
