"""Progress that functions tell to whoever listens."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT

from schnet_calc.simulate.modes import normal_modes
from schnet_calc.simulate.relax import relax
from schnet_calc.stages import in_turn, listened, tell, told_to


@pytest.fixture
def told():
    """What is told, by stages."""
    found = {}

    def listen(stage, done, total, note):
        found.setdefault(stage, []).append((done, total, note))

    with told_to(listen):
        yield found


def test_nobody_listens_but_for_a_while():
    tell("work", 1, 2)
    found = []
    with told_to(lambda *what: found.append(what)):
        assert listened()
        tell("work", 1, 2, "a note")
        with told_to(None):
            tell("work", 2, 2)
            assert not listened()
    tell("work", 2, 2)
    assert found == [("work", 1, 2, "a note")]


def test_items_are_counted(told):
    assert list(in_turn("cells", "abc")) == ["a", "b", "c"]
    assert [step[:2] for step in told["cells"]] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_relaxation_says_its_force_at_every_step(told):
    atoms = molecule("H2O")
    found = relax(atoms, EMT(), fmax=0.01)
    steps = told["relaxation"]
    assert [step[0] for step in steps[:-1]] == list(range(found.steps + 1))
    assert {step[1] for step in steps[:-1]} == {None}
    atoms.calc = EMT()
    largest = np.linalg.norm(atoms.get_forces(), axis=1).max()
    assert steps[0][2] == f"force {largest:.1e}, 1.0e-02 eV/Å wanted"
    assert steps[-1][:2] == (found.steps, found.steps)


def test_differences_of_forces_are_counted(told):
    atoms = relax(molecule("H2O"), EMT(), fmax=1e-4).atoms
    normal_modes(atoms, EMT())
    counts = told["differences of forces"]
    assert [step[0] for step in counts] == list(range(12 * 3 + 2))
    assert {step[1] for step in counts} == {12 * 3 + 1}
