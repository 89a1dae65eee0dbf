"""Labels and trainings by executors of others: the same as on one machine, also when a worker is killed."""

import os
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from ase.calculators.emt import EMT

from helpers import rattled
from schnet_calc.learn.executors import ATTEMPTS, Labeller, Source, open_dask
from schnet_calc.learn.labelling import Reference
from schnet_calc.learn.loop import learn
from schnet_calc.learn.store import DONE, FAILED, PLANNED, LabelStore
from schnet_calc.modelfile import load_potential

KILLED_ONCE = """
import os
from pathlib import Path
from ase.calculators.emt import EMT

class Killed(EMT):
    def calculate(self, atoms, properties, system_changes):
        mark = atoms.info.get("kill")
        if mark and not Path(mark).exists():
            Path(mark).touch()
            os._exit(9)
        super().calculate(atoms, properties, system_changes)

def calculator():
    return Killed()
"""


def quiet(*_):
    """Progress that nobody looks at."""


def labels(path, labeller, structures):
    store = LabelStore(path)
    Reference(store, labeller, quiet).label(structures, "modes")
    return store


def same(store, structures):
    assert (store.count(DONE), store.count(FAILED), store.count(PLANNED)) == (len(structures), 0, 0)
    for atoms, found in zip(structures, store.labelled(), strict=True):
        atoms.calc = EMT()
        assert found.calc.results["energy"] == atoms.get_potential_energy()
        np.testing.assert_array_equal(found.calc.results["forces"], atoms.get_forces())


def test_any_executor_labels(tmp_path, water):
    structures = rattled(water, 5)
    with ThreadPoolExecutor(2) as executor:
        same(
            labels(tmp_path / "l.db", Labeller(Source.pack("emt"), executor, lambda: 2), structures),
            structures,
        )


class Losing(ThreadPoolExecutor):
    """Loses its worker a number of times."""

    left = 0

    def submit(self, function, *arguments):
        if self.left:
            self.left -= 1
            lost = Future()
            lost.set_exception(RuntimeError("the worker died"))
            return lost
        return super().submit(function, *arguments)


@pytest.mark.parametrize("losses", [ATTEMPTS - 1, ATTEMPTS])
def test_lost_structures_go_out_again(tmp_path, water, losses, caplog):
    with Losing(1) as executor:
        executor.left = losses
        labeller = Labeller(Source.pack("emt"), executor, lambda: 1)
        store = labels(tmp_path / "l.db", labeller, rattled(water, 2))
    kept = losses < ATTEMPTS
    assert (store.count(DONE), store.count(FAILED)) == ((2, 0) if kept else (1, 1))
    assert kept or "lost 3 times with its worker: RuntimeError('the worker died')" in store.failures()[0]
    assert "a worker was lost with structure" in caplog.text


def test_what_can_not_be_is_named(tmp_path, water):
    with ThreadPoolExecutor(1) as executor:
        path = tmp_path / "broken.py"
        path.write_text("def calculator():\n    raise ImportError('no licence')\n")
        with pytest.raises(RuntimeError, match=r"broken can't be made: .*no licence"):
            list(Labeller(Source.pack(path), executor, lambda: 1).label([("k", water)]))
    for kind, address, words in (
        ("slurm", "", "local or dask"),
        ("dask", "", "go together"),
        ("local", "x", "go together"),
    ):
        with pytest.raises(ValueError, match=words):
            learn(water, "emt", tmp_path / "run", executor=kind, scheduler=address)


@pytest.fixture
def cluster():
    """Two workers of dask, processes of this machine."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed: extra [cluster]")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None
    ) as made:
        yield made


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_of_dask_that_is_killed_in_a_label(tmp_path, water, cluster):
    source = tmp_path / "killed.py"
    source.write_text(KILLED_ONCE)
    structures = rattled(water, 8)
    structures[3].info["kill"] = str(tmp_path / "mark")
    with open_dask(cluster.scheduler_address) as found:
        store = labels(tmp_path / "l.db", Labeller(Source.pack(source), *found), structures)
    assert (tmp_path / "mark").exists()
    same(store, structures)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_label_that_kills_three_workers_is_put_aside(tmp_path, water, cluster, caplog):
    source = tmp_path / "killed.py"
    source.write_text(KILLED_ONCE.replace("Path(mark).touch()", "pass"))
    structures = rattled(water, 6)
    structures[3].info["kill"] = str(tmp_path / "never")
    with open_dask(cluster.scheduler_address) as found:
        store = labels(tmp_path / "l.db", Labeller(Source.pack(source), *found), structures)
    assert (store.count(DONE), store.count(FAILED), store.count(PLANNED)) == (5, 1, 0)
    assert "lost again and again with its worker: KilledWorker" in store.failures()[0]
    assert "row 4 of" in caplog.text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_learning_on_two_workers_is_learning_on_one_machine(tmp_path, water, cluster, tiny):
    """The same labels, to the last bit, and the same models."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name, where in (
        ("here", {"workers": 2}),
        ("there", {"executor": "dask", "scheduler": cluster.scheduler_address}),
    ):
        learn(water, "emt", tmp_path / name, **{**tiny, "rounds": 1}, **where)
    here, there = tmp_path / "here", tmp_path / "there"
    ours, theirs = LabelStore(here / "labels.db"), LabelStore(there / "labels.db")
    assert ours.count(DONE) == theirs.count(DONE) > 24
    assert set(ours.entries) == set(theirs.entries)
    for key in ours.entries:
        one, other = ours.result(key), theirs.result(key)
        assert one.calc.results["energy"] == other.calc.results["energy"]
        np.testing.assert_array_equal(one.calc.results["forces"], other.calc.results["forces"])
    for k in range(2):
        weights = [load_potential(home / f"model_{k}.pt").sha256 for home in (here, there)]
        assert weights[0] == weights[1]
