"""``schnet-calc data``."""

import json

from ase.build import molecule

from helpers import rattled, write_frames


def test_command(run, tmp_path, figures):
    path = write_frames(tmp_path / "d.extxyz", rattled(molecule("CH3CH2OH"), 40), forces=-1)
    code, out, err = run("data", path, "--frame", "-1", "--json", "d.json", "-o", "look")
    assert code == 0, err
    assert "40 of C2H6O" in out
    assert "gradients in place of forces" in err.replace("\n", " ")
    assert json.loads((tmp_path / "d.json").read_text())["energy_over_work"] < -0.9
    assert set(figures) == {"look.png", "look.svg", "look_frame39.png", "look_frame39.svg"}
    assert len(figures["look.png"].axes) == 3
    assert figures["look_frame39.svg"].axes[0].get_title().startswith("C2H6O, longest arrow")
    for name in figures:
        assert (tmp_path / name).is_file()
    code, _, err = run("data", path, "--frame", "40")
    assert code == 1
    assert "there is no frame 40" in err
