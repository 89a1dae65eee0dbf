"""What files of other codes do not tell: options, units, elements; and where models come from."""

import hashlib

import numpy as np
import pytest
from ase import Atoms, units

from modelfile.foreign_checks import evaluate, expected, offsets
from modelfile.foreign_models import (
    NUMBERS,
    POSITIONS,
    Plain,
    pytorch_geometric,
    save,
    schnetpack2,
)
from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers import foreign_format, read_foreign
from schnet_calc.modelfile.saving import save_model
from schnet_calc.nn import SchNet, SchNetConfig


def test_file_and_options_must_agree(tmp_path):
    path = save(pytorch_geometric(Plain(head_activation="ssp"), mean=-2.5, std=0.5), tmp_path / "m")
    assert read_foreign(path, energy_unit="eV", options={"mean": -2.5}).source["options"]["mean"] == -2.5
    with pytest.raises(ModelFileError, match=r"the file says that mean is -2\.5, not 1\.0"):
        read_foreign(path, energy_unit="eV", options={"mean": 1.0})
    with pytest.raises(ModelFileError, match="the file says that num_filters is 6, not 128"):
        read_foreign(path, energy_unit="eV", options={"num_filters": 128})
    with pytest.raises(ModelFileError, match="no option means for this format: only mean, std"):
        read_foreign(path, energy_unit="eV", options={"means": 1.0})


@pytest.mark.parametrize("basis", ["gaussian", "bessel"])
def test_units(tmp_path, basis):
    plain = Plain(basis=basis)
    path = save(schnetpack2(plain, (offsets(-2.5),)), tmp_path / "m")
    imported = read_foreign(path, energy_unit="Hartree", length_unit="Bohr")
    energy, forces = expected(plain, shift=-2.5)
    in_angstrom = Atoms(NUMBERS, POSITIONS * units.Bohr)
    found = evaluate(imported, in_angstrom)
    assert found[0] == pytest.approx(energy * units.Hartree, abs=1e-9)
    np.testing.assert_allclose(found[1], forces * units.Hartree / units.Bohr, atol=1e-9)
    assert imported.network.config.cutoff == pytest.approx(plain.radius * units.Bohr)
    with pytest.raises(
        ModelFileError, match="no such file tells its energy unit: give energy_unit, one of eV"
    ):
        read_foreign(path)
    with pytest.raises(ModelFileError, match="length_unit is one of Ang, Bohr, nm, got 'pm'"):
        read_foreign(path, energy_unit="eV", length_unit="pm")


def test_elements(tmp_path):
    path = save(schnetpack2(Plain(), (offsets(-2.5, atomrefs=True),)), tmp_path / "m")
    imported = read_foreign(path, energy_unit="eV", elements=["C", "Si"])
    assert imported.reference_energies == {6: -2.5 - 1030.25, 14: -2.5}
    every = read_foreign(save(schnetpack2(Plain()), tmp_path / "m"), energy_unit="eV")
    assert sorted(every.reference_energies) == list(range(1, 100))
    assert any("does not tell which were trained" in line for line in every.source["assumed"])
    with pytest.raises(ModelFileError, match=r"the embedding has no elements \[101\]"):
        read_foreign(path, energy_unit="eV", elements=["Md"])
    with pytest.raises(ModelFileError, match="elements are chemical symbols, got 'Xx'"):
        read_foreign(path, energy_unit="eV", elements=["Xx"])


def test_source(tmp_path):
    path = save(schnetpack2(Plain()), tmp_path / "best_model")
    source = read_foreign(path, energy_unit="eV").source
    assert source["file"] == "best_model"
    assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (source["energy_unit"], source["length_unit"]) == ("eV", "Ang")
    assert source["options"] == {"activation": "ssp", "output_activation": "silu", "pooling": "sum"}


def test_unknown_files_have_no_format(tmp_path):
    own = tmp_path / "own.pt"
    save_model(own, SchNet(SchNetConfig(n_features=4, n_gaussians=4)), {1: 0.0})
    np.savez(tmp_path / "data.npz", x=np.zeros(3))
    (tmp_path / "text").write_text("PK but no archive")
    for name in ("own.pt", "data.npz", "text", "missing", "."):
        assert foreign_format(tmp_path / name) is None
    with pytest.raises(
        ModelFileError, match="no model of SchNetPack, PyTorch Geometric or the original SchNet"
    ):
        read_foreign(own, energy_unit="eV")
    with pytest.raises(FileNotFoundError):
        read_foreign(tmp_path / "missing", energy_unit="eV")
