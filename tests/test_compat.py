"""Each reach into another library's privates does what it is there for."""

import ase
import ase.io
import numba
import numpy as np
import torch
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from schnet_calc import compat


def test_ase_carries_results_that_it_has_no_name_for(tmp_path):
    compat.make_known("stiffness_of_atoms", ("natoms",))
    compat.make_known("stiffness_of_atoms", ("natoms",))
    atoms = ase.Atoms("H2")
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, stiffness_of_atoms=np.array([1.0, 2.0]))
    ase.io.write(tmp_path / "a.traj", atoms)
    again = ase.io.read(tmp_path / "a.traj")
    np.testing.assert_array_equal(again.calc.results["stiffness_of_atoms"], [1.0, 2.0])


def test_ase_finds_the_plugin():
    plugin = compat.calculator_plugin("mine", "someone", "ase.calculators.emt.EMT")
    assert plugin.name == "mine"
    assert plugin.implementation is EMT


def test_the_step_is_adams():
    """As written in Kingma and Ba, Algorithm 1."""
    options, rng = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-3}, np.random.default_rng(0)
    mean, square = torch.zeros(5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    m, v = np.zeros(5), np.zeros(5)
    for count in (1, 2, 3):
        gradient = rng.normal(size=5)
        update = compat.adam_update(torch.from_numpy(gradient), mean, square, count, options)
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        step = -0.1 * (m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.99**count)) + 1e-3)
        np.testing.assert_allclose(update.numpy(), step, rtol=1e-12)


def double(x):
    return 2 * x


def test_numba_keeps_a_stamp_and_forgives_a_damaged_cache(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    first = numba.njit(cache=True)(double)
    compat.keep_compiled(first, "one")
    assert first(2) == 4
    folder = compat.cache_folder(first)
    assert folder is not None
    assert folder.is_relative_to(tmp_path)
    same, other = numba.njit(cache=True)(double), numba.njit(cache=True)(double)
    compat.keep_compiled(same, "one")
    compat.keep_compiled(other, "two")
    assert same(2) == other(2) == 4
    assert sum(same.stats.cache_hits.values()) == 1
    assert sum(other.stats.cache_hits.values()) == 0
    for path in folder.glob("*.nb[ic]"):
        path.write_bytes(b"nothing that can be read")
    damaged = numba.njit(cache=True)(double)
    compat.keep_compiled(damaged, "two")
    assert damaged(3) == 6
    assert "compiling anew" in caplog.text
    mended = numba.njit(cache=True)(double)
    compat.keep_compiled(mended, "two")
    caplog.clear()
    assert mended(3) == 6
    assert not caplog.text
    assert sum(mended.stats.cache_hits.values()) == 1
