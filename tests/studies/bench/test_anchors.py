"""Other potentials beside ours; a cheap one stands in where they are not installed."""

import builtins

import pytest
from ase.calculators.lj import LennardJones

from schnet_calc.studies.bench import anchors

pytestmark = pytest.mark.slow


def test_both_crystals_are_timed(monkeypatch):
    monkeypatch.setattr(anchors, "nep_calculator", lambda symbol, folder: LennardJones(sigma=1.5, rc=3.0))
    diamond, silicon = anchors.run_anchors("nep", seconds=0.01)
    assert diamond.name.startswith("diamond")
    assert silicon.name.startswith("silicon")
    for row in (diamond, silicon):
        assert row.ours > 0
        assert row.ratio == pytest.approx(row.theirs / row.ours, rel=2.0)


@pytest.mark.parametrize(("name", "package"), [("nep", "calorine"), ("mace", "mace-torch")])
def test_what_is_missing_is_named(name, package, monkeypatch):
    found = builtins.__import__

    def no_peers(module, *rest):
        if module.split(".")[0] in ("calorine", "mace", "e3nn"):
            raise ModuleNotFoundError(f"No module named {module!r}")
        return found(module, *rest)

    monkeypatch.setattr(builtins, "__import__", no_peers)
    with pytest.raises(ModuleNotFoundError, match=f"pip install {package}"):
        anchors.run_anchors(name, seconds=0.01)


def test_the_file_of_nep_is_one_that_calorine_reads(tmp_path):
    pytest.importorskip("calorine", reason="calorine is not installed")
    atoms = anchors.silicon()[:8]
    atoms.calc = anchors.nep_calculator("Si", tmp_path)
    assert abs(atoms.get_potential_energy()) > 0
