"""``schnet-calc import`` and the hint that leads to it."""

import pytest

from schnet_calc import SchNetCalculator, import_model
from schnet_calc.errors import ModelFileError


def test_what_is_no_model_of_any_code(tmp_path):
    (tmp_path / "best_model").write_bytes(b"no pickle")
    with pytest.raises(ModelFileError, match="no model of SchNetPack"):
        import_model(tmp_path / "best_model", tmp_path / "model.pt", energy_unit="eV")
    with pytest.raises(ModelFileError, match="not a model file"):
        SchNetCalculator(tmp_path / "best_model")
    assert not (tmp_path / "model.pt").exists()
