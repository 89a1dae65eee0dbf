"""With beads: i-PI runs the committee, and its beads are what is labelled and what the proof is about."""

import pytest
from ase.calculators.emt import EMT

from schnet_calc.ipi.outputs import bead_files
from schnet_calc.learn import learn
from schnet_calc.learn.store import LabelStore

pytestmark = pytest.mark.slow


def test_beads_are_looked_at_and_checked(water, tiny, folder):
    water.set_initial_charges([0.0, 0.5, -0.5])
    result = learn(water, EMT(), folder, **{**tiny, "beads": 2, "rounds": 1, "accuracy": 0.0})
    assert len(bead_files(folder / "round_0" / "pimd_0")) == 2
    (found,) = result.rounds
    assert found.seen >= 3
    proof = result.proof["dynamics"]
    assert proof["n_frames"] == 6
    assert proof["frames"] == 2 * 9  # without the first fifth of 11 frames
    assert 0 <= proof["doubtful_frames"] <= proof["frames"]
    checked = LabelStore(folder / "labels.db").labelled(["check"])
    assert all(abs(a.get_initial_charges()).max() == 0.5 for a in checked)
    assert not any(a.cell.rank for a in checked)  # i-PI's box is not the molecule's
