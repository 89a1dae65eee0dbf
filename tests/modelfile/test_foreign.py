"""TorchScript of others: run where it is asked for, and nowhere else."""

import ase
import numpy as np
import pytest
import torch

from helpers import FOREIGN, rewrite, write_foreign
from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import load_potential
from schnet_calc.modelfile.archive import METADATA, ModelFileError


@pytest.fixture
def path(tmp_path):
    """Springs, as others would write them."""
    return write_foreign(tmp_path / "harmonic.pt", FOREIGN)


def test_foreign_module_runs_where_it_is_asked_for(path):
    atoms = ase.Atoms("H2", positions=[(0, 0, 0), (0, 0, 2)])
    atoms.calc = SchNetCalculator(path, engine="script")
    assert atoms.calc.engine.name == "script"
    assert atoms.get_potential_energy() == pytest.approx(2.0)
    np.testing.assert_allclose(atoms.get_forces(), [[0, 0, 2], [0, 0, -2]])
    potential = load_potential(path)
    assert not potential.native
    assert potential.network() is None
    assert potential.metadata.architecture == "unknown"


def test_it_runs_nowhere_else(path, monkeypatch):
    """Neither where a file is read, nor where an engine is chosen: only ``"script"`` loads it."""
    monkeypatch.setattr("torch.jit.load", lambda *_, **__: pytest.fail("torch.jit.load"))
    load_potential(path)
    with pytest.raises(ModelFileError, match=r"none of this package: its TorchScript.*engine='script'"):
        SchNetCalculator(path)
    with pytest.raises(ModelFileError, match="engine='script'"):
        SchNetCalculator(["c20", path])
    with pytest.raises(ValueError, match="use engine='script'"):
        SchNetCalculator(path, engine="compiled")


@pytest.mark.parametrize("engine", ["auto", "compiled", "script"])
def test_native_files_run_from_plain_weights(models, monkeypatch, engine):
    monkeypatch.setattr("torch.jit.load", lambda *_, **__: pytest.fail("torch.jit.load"))
    calculator = SchNetCalculator(models["float64"], device="cpu", engine=engine)
    assert calculator.engine.name == ("script" if engine == "script" else "compiled")
    assert np.isfinite(calculator.evaluate([ase.Atoms("H2", [(0, 0, 0), (0, 0, 1)])])[0].energy)


class WrongArguments(torch.nn.Module):
    """Not the contract."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, f"holds no {METADATA}"),
        ({**FOREIGN, "format_version": 99}, "format version 99, newer"),
        ({k: v for k, v in FOREIGN.items() if k not in ("cutoff", "dtype")}, "lacks cutoff, dtype"),
        ({**FOREIGN, "dtype": "int8"}, "float32 or float64"),
        ({**FOREIGN, "elements": [1, 6]}, "no reference energy for the elements"),
    ],
)
def test_foreign_files_say_what_is_missing(tmp_path, metadata, message):
    with pytest.raises(ModelFileError, match=message):
        load_potential(write_foreign(tmp_path / "foreign.pt", metadata))


def test_another_contract_is_named(tmp_path):
    path = write_foreign(tmp_path / "foreign.pt", FOREIGN, WrongArguments())
    with pytest.raises(ModelFileError, match=r"forward takes .*'x'.* but the contract is"):
        SchNetCalculator(path, engine="script")


def test_no_pickle_of_a_foreign_file_is_run(path, tmp_path, monkeypatch):
    """The archive's data.pkl is read by TorchScript's own reader, which knows no Python objects."""
    monkeypatch.setattr("pickle.Unpickler", lambda *_: pytest.fail("pickle.Unpickler"))
    marker = tmp_path / "executed"
    code = f"cbuiltins\nopen\n(S'{marker}'\nS'w'\ntR.".encode()

    def change(name, content):
        yield name, code if name.endswith("/data.pkl") else content

    path.write_bytes(rewrite(path, change))
    with pytest.raises(ModelFileError, match="TorchScript says"):
        SchNetCalculator(path, engine="script")
    assert not marker.exists()
