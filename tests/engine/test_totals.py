"""Geometries of the same atoms as arrays: what an object for each would say, and its errors."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import REFERENCES, ethanol, random_network, rattled
from schnet_calc import load_model
from schnet_calc.errors import BadStructureError
from schnet_calc.modelfile import save_model
from schnet_calc.structures.geometries import Geometries


def agree(model, images):
    found, expected = model.totals(Geometries.from_atoms(images)), model.evaluate(images, [])
    np.testing.assert_array_equal(found.energies, [p.energy for p in expected])
    np.testing.assert_array_equal(found.forces, [p.forces for p in expected])
    np.testing.assert_array_equal(found.virials, [p.virial for p in expected])


CLUSTER = bulk("C", cubic=True) * 3
CLUSTER.pbc = False
MANY = {
    "molecules": rattled(molecule("CH3CH2OH"), 5),
    "one molecule": [ethanol()],
    "atoms": rattled(molecule("O"), 3),
    "crystals": rattled(bulk("Si", cubic=True), 3),
    "large molecules": rattled(CLUSTER, 2),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MANY)
def test_arrays_equal_objects(models, engine, name, dtype):
    agree(load_model(models[dtype], device="cpu", engine=engine), MANY[name])


def test_molecules_need_no_objects(models, monkeypatch):
    model = load_model(models["float64"], device="cpu")
    expected = [p.energy for p in model.evaluate(MANY["molecules"])]
    monkeypatch.setattr(model.engine, "compute", None)
    found = model.totals(Geometries.from_atoms(MANY["molecules"]))
    np.testing.assert_array_equal(found.energies, expected)


def test_means_and_committees(tmp_path, members):
    network = random_network(pooling="mean")
    save_model(tmp_path / "mean.pt", network, REFERENCES)
    agree(load_model(tmp_path / "mean.pt", device="cpu"), MANY["molecules"])
    agree(load_model(members, device="cpu"), MANY["molecules"])


def test_more_pairs_than_a_call_takes(models):
    model = load_model(models["float64"], device="cpu")
    model.engine.most_pairs = 100
    agree(model, MANY["molecules"])


def spoiled(place, change):
    images = [a.copy() for a in MANY["molecules"]]
    change(images[place])
    return Geometries.from_atoms(images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.positions.__setitem__((2, 1), np.nan), "position of atom 2 is not finite"),
        (lambda a: a.positions.__setitem__(5, a.positions[3]), "atoms 3 and 5 are at the same place"),
        (lambda a: a.set_cell(np.diag([np.inf, 1, 1])), "the cell is not finite"),
    ],
)
def test_bad_geometries_are_named(models, engine, change, message):
    model = load_model(models["float64"], device="cpu", engine=engine)
    with pytest.raises(BadStructureError, match=f"structure 3: {message}") as caught:
        model.totals(spoiled(3, change))
    assert caught.value.index == 3
    with pytest.raises(BadStructureError, match="structure 0: atom 0 is Xe, but this model knows"):
        model.totals(Geometries.from_atoms([ase.Atoms("Xe")] * 2))


def test_arrays_that_do_not_fit_are_named(models):
    model, fits = load_model(models["float64"], device="cpu"), Geometries.from_atoms(MANY["molecules"])
    with pytest.raises(
        BadStructureError, match=r"structure 0: positions have the shape \(5, 3\), but 9 atoms"
    ):
        model.totals(fits._replace(positions=fits.positions[:, :5]))
    with pytest.raises(ValueError, match="shorter"):
        model.totals(fits._replace(cells=fits.cells[:2]))
    with pytest.raises(ValueError, match="image 1 has other atoms"):
        Geometries.from_atoms([ethanol(), molecule("H2O")])


def test_only_doubtful_geometries_are_looked_at_as_objects(monkeypatch):
    """And are doubted as objects are, by their place."""
    images = [molecule("H2CO") for _ in range(6)]
    images[2].positions[0, 2] -= 0.25  # C=O
    images[4].positions[2] = images[4].positions[3] + [0, 0, 0.3]  # two hydrogens
    objects, arrays = load_model("h2co", device="cpu"), load_model("h2co", device="cpu")
    objects.evaluate(images, [])
    looked, check = [], arrays.guard._check
    monkeypatch.setattr(check, "reasons", lambda *s, known=check.reasons: looked.append(s) or known(*s))
    arrays.totals(Geometries.from_atoms(images))
    assert arrays.guard.reasons == objects.guard.reasons
    assert {r.split(":")[0] for r in objects.guard.reasons} == {"structure 2", "structure 4"}
    assert arrays.guard.count == objects.guard.count == 2
    assert len(looked) == 2
