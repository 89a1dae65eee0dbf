"""``schnet-calc insight``."""

import sys

import ase
import ase.io
import numpy as np
from ase.build import molecule
from matplotlib.figure import Figure

from helpers import ethanol, skewed_silicon
from schnet_calc.cli.insight import InsightOutput, insight


def test_the_command(networks, tmp_path, capsys, monkeypatch):
    ase.io.write(tmp_path / "m.extxyz", [ethanol(), molecule("CH3CH2OH")])
    folder = tmp_path / "seen"
    model = str(networks["DTNN"]["float32"])
    insight(model, tmp_path / "m.extxyz", spacing=1.5, out=InsightOutput(folder))
    figures = {"attribution", "contributions", "embeddings", "filter_curves", "filter_cuts", "potential"}
    assert figures | {"sensitivity"} == {p.stem for p in folder.glob("*.png")}
    with np.load(folder / "insight.npz") as arrays:
        assert arrays["contributions"].shape == (18,)
    assert (folder / "potential.cube").is_file()
    assert "0 rings of 6" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: path.touch())  # they were drawn above
    insight(model, tmp_path / "m.extxyz", spacing=1.5, out=InsightOutput(tmp_path / "without"))
    assert "pip install" in capsys.readouterr().out
    assert (tmp_path / "without" / "attribution.png").is_file()
    monkeypatch.undo()
    ase.io.write(tmp_path / "c.extxyz", skewed_silicon())
    insight(model, tmp_path / "c.extxyz", spacing=1.5, out=InsightOutput(tmp_path / "crystal"))
    assert (tmp_path / "crystal" / "potential.png").is_file()
    assert (tmp_path / "crystal" / "lattice_cuts.png").is_file()
