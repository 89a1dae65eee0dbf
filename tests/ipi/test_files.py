"""Input files that say what was asked, and output files that are cut to a checkpoint."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from ase.build import bulk

from helpers import ethanol
from schnet_calc.ipi import Address
from schnet_calc.ipi.input import PIMDSettings, i_pi_structure, write_input
from schnet_calc.ipi.outputs import cut_outputs, last_checkpoint, read_frames


def settings(**options) -> PIMDSettings:
    return PIMDSettings(**{"beads": 4, "temperature": 300.0, "time": 1.0, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beads": 0}, "beads must be positive and finite, got 0"),
        ({"temperature": -1.0}, "temperature must be positive"),
        ({"thermostat": "berendsen"}, "thermostat is one of pile_g, .*got 'berendsen'"),
        ({"transport": "pigeon"}, "transport is one of direct, socket"),
        ({"time": 1e-5}, "shorter than a timestep"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        settings(**options)


def test_input_is_xml_that_says_what_was_asked(tmp_path):
    path = write_input(
        ethanol(),
        settings(transport="socket", seed=7),
        tmp_path,
        models=["a--b"],
        address=Address(port=999),
    )
    root = ElementTree.parse(path).getroot()
    socket = root.find("ffsocket")
    assert socket.get("mode") == "inet"
    assert [socket.find(k).text.strip() for k in ("address", "port", "batch_size")] == [
        "localhost",
        "999",
        "4",
    ]
    assert root.find("prng/seed").text.strip() == "7"
    assert root.find("total_steps").text.strip() == "2000"
    assert not (tmp_path / "pes.py").exists()
    with pytest.raises(ValueError, match=r"can't hold the model 'x:y.pt'"):
        write_input(ethanol(), settings(), tmp_path, models=["x:y.pt"])


def test_structures_for_i_pi_keep_distances_masses_and_volume():
    atoms = bulk("Si")
    atoms.rattle(0.1, seed=0)
    atoms.rotate(30, "xyz", rotate_cell=True)
    atoms.set_masses([28.0, 30.0])
    turned = i_pi_structure(atoms)
    np.testing.assert_allclose(np.triu(turned.cell.array, 1), 0, atol=1e-12)
    np.testing.assert_allclose(turned.get_volume(), atoms.get_volume())
    np.testing.assert_allclose(turned.get_all_distances(mic=True), atoms.get_all_distances(mic=True))
    np.testing.assert_array_equal(turned.get_masses(), [28.0, 30.0])
    boxed = i_pi_structure(ethanol())
    assert not boxed.pbc.any()
    assert boxed.get_volume() > 50**3


def frames_text(steps) -> str:
    return "".join(
        f"2\n# CELL(abcABC): 9.0 9.0 9.0 90.0 90.0 90.0  Step: {s}  Bead: 0 positions{{angstrom}}\n"
        f" H 0 0 {s}\n H 0 0 1\n"
        for s in steps
    )


def output(folder, steps, checkpoints) -> None:
    rows = "".join(f" {float(s):.16e} 1.0\n" for s in steps)
    (folder / "simulation.out").write_text(
        "# column 1 --> step : the step\n# column 2 --> potential{eV} : e\n" + rows
    )
    (folder / "simulation.pos_0.xyz").write_text(frames_text(steps))
    for k, step in enumerate(checkpoints):
        (folder / f"simulation.checkpoint_{k}").write_text(f"<simulation><step>{step}</step></simulation>")


def test_frames_have_their_steps_and_cell(tmp_path):
    (tmp_path / "t.xyz").write_text(frames_text([0, 10, 120]))
    frames = read_frames(tmp_path / "t.xyz")
    assert [f.info["step"] for f in frames] == [0, 10, 120]
    assert frames[2].positions[0, 2] == 120
    np.testing.assert_allclose(frames[0].cell.lengths(), 9.0)


def test_a_checkpoint_ahead_of_the_rows_on_disk_is_not_used(tmp_path):
    output(tmp_path, [0, 10, 20, 30], [20, 40])
    path, step = last_checkpoint(tmp_path, 10, 10)
    assert (path.name, step) == ("simulation.checkpoint_0", 20)
    (tmp_path / "simulation.checkpoint_0").write_text("<simulation><step>20</st")
    assert last_checkpoint(tmp_path, 10, 10) is None


def test_outputs_are_cut_to_the_checkpoint(tmp_path):
    output(tmp_path, [0, 10, 20, 30], [20, 40])
    with (tmp_path / "simulation.pos_0.xyz").open("a") as stream:
        stream.write("2\n# Step: 40\n H 0 0")
    cut_outputs(tmp_path, 20)
    assert len(read_frames(tmp_path / "simulation.pos_0.xyz")) == 3
    assert (tmp_path / "simulation.out").read_text().count("\n") == 2 + 3
    assert not (tmp_path / "simulation.checkpoint_1").exists()
