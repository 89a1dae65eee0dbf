"""Names of label sources, those of other packages among them."""

from importlib import metadata

import pytest
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from schnet_calc.references import reference_calculator, table


def test_other_packages_add_theirs(monkeypatch):
    def found(*, group, name):
        assert group == "schnet_calc.references"
        mine = metadata.EntryPoint("mine", "ase.calculators.lj:LennardJones", group)
        monkeypatch.setattr(LennardJones, "__init__", lambda self, method: setattr(self, "asked", method))
        return [mine] if name == "mine" else []

    monkeypatch.setattr(table, "entry_points", found)
    assert reference_calculator("mine:PBE0/def2-SVP").asked == "PBE0/def2-SVP"
    assert isinstance(reference_calculator("emt"), EMT)


def test_a_name_that_nobody_knows():
    with pytest.raises(ValueError, match=r"a method of tblite .*; a functional and a basis.*got 'xyz'"):
        reference_calculator("xyz")
