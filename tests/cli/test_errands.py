"""From an awkward file to a trained model, by what the messages say alone."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.units import kcal, mol

from schnet_calc.cli.remembered import remember, remembered, remembered_labels
from schnet_calc.training.config import DataConfig, RunConfig
from schnet_calc.training.workflow import _text

KEYS = ("--energy-key", "dft_energy", "--forces-key", "dft_forces")
SMALL = (
    *("--n-features", "8", "--n-interactions", "1", "--steps", "4", "--validate-every", "2"),
    *("--batch-size", "4", "--warmup", "1"),
)


@pytest.fixture
def awkward(tmp_path):
    """Keys of its own, kcal/mol, three molecules, forces of some frames, a label that is no number."""
    images = []
    for k in range(90):
        atoms = molecule(("CH3OH", "H2O", "NH3")[k % 3])
        atoms.rattle(0.05, seed=k)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        atoms.info["dft_energy"] = np.nan if k == 33 else energy * mol / kcal
        if k % 7:
            atoms.arrays["dft_forces"] = forces * mol / kcal
        images.append(atoms)
    ase.io.write(tmp_path / "awkward.extxyz", images)
    return "awkward.extxyz"


def words(text):
    return " ".join(text.split())


def test_data_says_which_options_it_wants(run, awkward, figures):
    code, _, err = run("data", awkward)
    assert code == 1
    for word in ("--energy-key (dft_energy?)", "--forces-key (dft_forces?)"):
        assert word in words(err)
    code, _, err = run("data", awkward, *KEYS)
    assert code == 1
    assert "frame 33" in err
    assert "--skip-bad" in err
    code, _, err = run("data", awkward, *KEYS, "--skip-bad")
    assert code == 0
    assert "--energy-unit" in words(err)
    code, out, err = run("data", awkward, *KEYS, "--skip-bad", "--energy-unit", "kcal/mol")
    assert code == 0
    assert "warning" not in err
    assert "H3N" in out
    assert "data_frame0.png" in out
    assert "energies by composition" in out


def test_an_outlier_is_named_with_its_composition(run, tmp_path, awkward, figures):
    images = ase.io.read(tmp_path / awkward, ":")
    images[4].info["dft_energy"] += 1e4
    ase.io.write(tmp_path / awkward, images)
    _, _, err = run("data", awkward, *KEYS, "--skip-bad", "--energy-unit", "kcal/mol")
    assert "from the median of H2O" in words(err)


@pytest.mark.slow
def test_keys_are_asked_for_once(run, awkward, figures):
    given = (*KEYS, "--skip-bad", "--energy-unit", "kcal/mol")
    code, _, err = run("train", "--data", awkward, *given, *SMALL, "-o", "run")
    assert code == 0, err
    code, out, err = run("train", "--resume", "--steps", "6", "-o", "run")
    assert code == 0, err
    assert "6" in out
    code, out, err = run("evaluate", "run/model.pt", awkward)
    assert code == 0, err
    assert "those of the model's training" in err
    code, out, err = run("info", "run/model.pt")
    assert code == 0, err


def test_what_a_run_remembers(tmp_path):
    settings = RunConfig(data=DataConfig(file="a.xyz", energy_key="U", energy_unit="Hartree"))
    remember(settings, tmp_path / "run")
    found = remembered_labels(tmp_path / "run" / "model.pt", Path("a.xyz"))
    assert (found.energy_key, found.energy_unit) == ("U", "Hartree")
    assert remembered_labels(tmp_path / "run" / "model.pt", Path("b.xyz")) is None
    assert remembered(tmp_path) is None
    (tmp_path / "run" / "checkpoint.safetensors").touch()
    remember(settings.changed({"energy_key": "E"}), tmp_path / "run")
    assert remembered(tmp_path / "run").data.energy_key == "U"


def test_frames_left_out_are_texts_in_a_file():
    told = _text({str(k): "a label that is no number" for k in range(5000)})
    assert told.startswith("5000 frames, 0: a label")
    assert len(told) < 1000
    assert _text("ethanol") == "ethanol"
