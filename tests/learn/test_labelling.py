"""Labels by other processes: failures, time-outs, deaths, and a run that is killed and goes on."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from ase.calculators.emt import EMT

from helpers import rattled, skewed_silicon
from schnet_calc.learn.executors import Source, local_labeller
from schnet_calc.learn.labelling import Reference
from schnet_calc.learn.store import DONE, FAILED, PLANNED, LabelStore

TROUBLE = """
import os, time
from ase.calculators.emt import EMT

class Troubled(EMT):
    def calculate(self, atoms, properties, system_changes):
        print("programs of calculators print what they like")
        what = atoms.info.get("trouble")
        if what == "raise":
            raise RuntimeError("the SCF did not converge")
        if what == "die":
            os._exit(7)
        if what == "stop":
            os._exit(0)
        if what == "hang":
            time.sleep(100)
        super().calculate(atoms, properties, system_changes)
        if what == "nan":
            self.results["forces"] *= float("nan")

def calculator():
    return Troubled()
"""

SLOW = """
import time
from ase.calculators.emt import EMT

class Slow(EMT):
    def calculate(self, *arguments):
        time.sleep(0.05)
        super().calculate(*arguments)

def calculator():
    return Slow()
"""

RUN = """
import sys
from ase.build import molecule
from schnet_calc.learn.executors import local_labeller
from schnet_calc.learn.labelling import Reference
from schnet_calc.learn.store import LabelStore

structures = []
for seed in range(24):
    structures.append(molecule("H2O"))
    structures[-1].rattle(0.05, seed=seed)
with local_labeller(sys.argv[1], workers=2) as labeller:
    Reference(LabelStore(sys.argv[2]), labeller, lambda *_: None).label(structures, "modes")
"""


def quiet(*_):
    """Progress that nobody looks at."""


def test_labels_are_those_of_the_calculator(tmp_path, water):
    store = LabelStore(tmp_path / "labels.db")
    structures = rattled(water, 5)
    with local_labeller(EMT(), workers=2) as labeller:
        Reference(store, labeller, quiet).label(structures, "modes")
    for atoms, found in zip(structures, store.labelled(), strict=True):
        atoms.calc = EMT()
        assert found.calc.results["energy"] == atoms.get_potential_energy()
        np.testing.assert_array_equal(found.calc.results["forces"], atoms.get_forces())
        assert "stress" not in found.calc.results


def test_crystals_have_stresses(tmp_path):
    crystal = skewed_silicon()
    crystal.numbers[:] = 29
    store = LabelStore(tmp_path / "labels.db")
    with local_labeller("emt") as labeller:
        (key,) = Reference(store, labeller, quiet).label([crystal], "modes")
    crystal.calc = EMT()
    np.testing.assert_allclose(store.result(key).calc.results["stress"], crystal.get_stress())


def labels_of_troubled(tmp_path, water, troubles, timeout):
    """The store after structures with troubles, of two processes."""
    path = tmp_path / "troubled.py"
    path.write_text(TROUBLE)
    structures = rattled(water, len(troubles))
    for atoms, trouble in zip(structures, troubles, strict=True):
        atoms.info["trouble"] = trouble
    store = LabelStore(tmp_path / "labels.db")
    with local_labeller(path, workers=2, timeout=timeout) as labeller:
        Reference(store, labeller, quiet).label(structures, "modes")
    return store


def test_trouble_is_recorded_and_passed_over(tmp_path, water, caplog):
    store = labels_of_troubled(tmp_path, water, ["", "raise", "hang", "nan", ""], 1.0)
    assert (store.count(DONE), store.count(FAILED), store.count(PLANNED)) == (2, 3, 0)
    reasons = "\n".join(store.failures())
    assert "RuntimeError: the SCF did not converge" in reasons
    assert "no result within 1 s" in reasons
    assert "forces is not finite" in reasons
    assert "row 3 of" in caplog.text


@pytest.mark.slow
def test_structures_that_kill_their_processes_are_put_aside(tmp_path, water, caplog):
    store = labels_of_troubled(tmp_path, water, ["", "die", "stop", ""], 60.0)
    assert (store.count(DONE), store.count(FAILED), store.count(PLANNED)) == (2, 2, 0)
    reasons = "\n".join(store.failures())
    assert "lost 3 times with its worker: it ended with status 7" in reasons
    assert "lost 3 times with its worker: it ended with status 255" in reasons  # 0 ends no label
    assert "row 2 of" in caplog.text
    assert "row 3 of" in caplog.text


def test_nothing_but_failures_ends_the_run(tmp_path, water):
    path = tmp_path / "troubled.py"
    path.write_text(TROUBLE)
    structures = rattled(water, 12)
    for atoms in structures:
        atoms.info["trouble"] = "raise"
    with (
        local_labeller(path) as labeller,
        pytest.raises(RuntimeError, match=r"failed 10 times in a row: .*SCF did not converge"),
    ):
        Reference(LabelStore(tmp_path / "labels.db"), labeller, quiet).label(structures, "modes")


def test_a_reference_that_can_not_be_made(tmp_path, water):
    path = tmp_path / "broken.py"
    path.write_text("def calculator():\n    raise ImportError('no licence')\n")
    with (
        local_labeller(path) as labeller,
        pytest.raises(RuntimeError, match=r"broken can't be made: .*no licence"),
    ):
        list(labeller.label([("k", water)]))
    unfit = EMT()
    unfit.lock = threading.Lock()
    with pytest.raises(ValueError, match="EMT can't be sent to other processes"):
        Source.pack(unfit)


def test_functions_of_scripts_are_sent_as_they_are(water):
    with local_labeller(lambda: EMT()) as labeller:
        (found,) = labeller.label([("k", water)])
    assert found.key == "k"
    assert not found.reason


def test_the_remembering_calculator_computes_once(tmp_path, water):
    store = LabelStore(tmp_path / "labels.db")
    with local_labeller("emt") as labeller:
        reference = Reference(store, labeller, quiet)
        water.calc = reference.calculator("relaxation")
        energy = water.get_potential_energy()
        again = water.copy()
        again.calc = reference.calculator("dynamics")
        assert again.get_potential_energy() == energy
        np.testing.assert_array_equal(again.get_forces(), water.get_forces())
    assert [(e.kind, e.status) for e in store.entries.values()] == [("relaxation", DONE)]


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_each_label_once(tmp_path):
    """SIGKILL at any time; the workers end by themselves."""
    source, script, database = tmp_path / "slow.py", tmp_path / "run.py", tmp_path / "labels.db"
    source.write_text(SLOW)
    script.write_text(RUN)
    command = [sys.executable, str(script), str(source), str(database)]
    counts = []
    for more in (1, 4, 7):
        process = subprocess.Popen(command, start_new_session=True)
        wanted = (counts[-1] if counts else 0) + more
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and _done(database) < wanted:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        counts.append(_done(database))
    assert 1 <= counts[0] < counts[1] < counts[2]
    subprocess.run(command, check=True, timeout=60)
    store = LabelStore(database)
    assert (store.count(DONE), store.count(PLANNED), store.count(FAILED)) == (24, 0, 0)
    assert len({e.row for e in store.entries.values()}) == 24
    assert len(store.labelled()) == 24


def _done(database) -> int:
    if not database.exists():
        return 0
    try:
        return LabelStore(database).count(DONE)
    except Exception:  # it is just being made
        return 0
