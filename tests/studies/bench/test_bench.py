"""What measures speed: turns, operations, steps of i-PI."""

import numpy as np
import pytest
from ase.build import bulk

from schnet_calc import SchNetCalculator
from schnet_calc.studies.bench.cases import Case, cage, cases, diamond, md_step, n_pairs, operations
from schnet_calc.studies.bench.pimd import FREE, STRIDE, n_steps_for, pimd_step
from schnet_calc.studies.bench.run import Bench, Timing, run_bench
from schnet_calc.studies.bench.timing import gigahertz, take_turns

pytestmark = pytest.mark.slow


def test_calls_take_turns():
    order = []
    times = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 1e-9, rounds=4)
    assert [len(t) for t in times.values()] == [4, 4]
    assert "".join(order[6:]) == "abababab"
    assert all((t > 0).all() for t in times.values())


def test_operations_are_counted():
    """Of two atoms that see each other once, by hand."""
    pair = bulk("C")
    pair.pbc = False
    case = Case("two", "", pair, count=3)
    layers = 6 * 6 * 2 * 2 * 128 * 128 + 2 * 2 * 128 * 128
    assert operations(pair) == 2 * 6 * 128 * 19 + layers
    assert case.operations == 3 * operations(pair)


def test_cases():
    found = list(cases((64,)))
    assert [c.count * len(c.atoms) for c in found] == [20, 160, 640, 2560, 64, 1000]
    assert found[-1].pairs == found[-1].config.n_interactions * n_pairs(found[-1].atoms, found[-1].config)
    assert len({c.name for c in found}) == len(found)
    distances = diamond(216).get_all_distances(mic=True)
    np.testing.assert_allclose(np.sort(distances, axis=1)[:, 1:5], 1.545, atol=0.15)


def test_cycles_are_those_of_all_threads():
    """10 ms of two threads at 3 GHz for a million pairs and blocks."""
    timing = Timing("x", "", 1, 10.0, None, None, 1.0, None, None, 10.0, pairs=1_000_000)
    assert Bench([timing], 10.0, 0.1, None, {}, 2, 3.0).cycles(timing) == pytest.approx(60.0)
    assert 0.5 < gigahertz(200_000) < 8.0


def test_a_step_of_path_integrals_is_timed():
    from_free = pimd_step(cage(), 2, 800, pes=FREE)
    assert 0 < from_free < 1000
    assert n_steps_for(10.0, 1.0) == 100
    assert n_steps_for(1e4, 1.0) == 8 * STRIDE


def test_a_run_without_rows_is_named():
    with pytest.raises(RuntimeError, match="i-PI ended after 0 of 4 rows"):
        pimd_step(cage(), 2, 40, pes="raise SystemExit(1)")


def test_a_server_that_fails_ends_the_run():
    def serve(folder):
        raise OSError("nobody home")

    with pytest.raises(RuntimeError, match="nobody home"):
        pimd_step(cage(), 2, 40, serve=serve)


def test_all_steps_are_the_same_work():
    """Random weights would blow up the cage, and the fastest would have the fewest pairs."""
    calculator = SchNetCalculator("ethanol", device="cpu", on_doubt="ignore")  # it knows no cages
    atoms = cage()
    step = md_step(atoms, calculator)
    for _ in range(500):
        step()
    assert 0 < np.abs(calculator.atoms.positions - atoms.positions).max() < 1e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": (65,)}, "64, 216, 1000, 4000, 20000 atoms here, not 65"),
        ({"against": "abacus"}, "against is 'schnetpack' or nothing"),
        ({"seconds": 0.0}, "seconds must be positive"),
        ({"beads": (0,)}, "beads must be positive, got 0"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        run_bench(**options)
