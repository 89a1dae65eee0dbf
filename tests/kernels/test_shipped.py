"""Compiled code that comes with the package, and what happens where it can't be used."""

import json
import os
import subprocess
import sys
import zipfile
from importlib import import_module

import numpy as np
import pytest

from schnet_calc.kernels.cpu import compiling, shipped

COMPUTE = """
import json, sys
import numpy as np
from ase.build import molecule
from pathlib import Path
from schnet_calc import SchNetCalculator
from schnet_calc.kernels.cpu.shipped import returned_types
from schnet_calc.warm_up import warm_up
import schnet_calc.warm_up as parts
from schnet_calc.training import Run
found = {"shipped": len(returned_types())}
atoms = molecule("CH3CH2OH")
atoms.rattle(0.05, seed=1)
for dtype in ("float32", "float64"):
    prediction, = SchNetCalculator("ethanol", device="cpu", dtype=dtype).evaluate([atoms])
    found[dtype] = [prediction.energy, *prediction.forces.ravel().tolist()]
save = Run._validate
def validate(run):
    found["training"] = [run.loss, *run.network.state_dict()["output.weight"].ravel().tolist()]
    return save(run)
Run._validate = validate
parts.train("float32")
print(json.dumps(found))
"""


def compute(folder, switch):
    """Numbers of a fresh process with an empty cache, with shipped code or without."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), shipped.SWITCH: switch}
    done = subprocess.run(
        [sys.executable, "-c", COMPUTE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_shipped_code_says_what_numba_compiles(tmp_path):
    if not shipped.returned_types():
        pytest.skip("no code for this machine or this numba")
    ours, numbas = compute(tmp_path / "a", "1"), compute(tmp_path / "b", "0")
    assert ours["shipped"]
    assert not numbas["shipped"]
    for name, tolerance in (("float32", 2e-6), ("float64", 1e-12), ("training", 1e-5)):
        np.testing.assert_allclose(ours[name], numbas[name], rtol=tolerance, atol=tolerance)


@pytest.fixture(params=["narrow", "wide"])
def archive(request):
    """What comes with the package for a vector width."""
    path = shipped.ARCHIVE.with_name(f"{request.param}.zip")
    if not path.exists():
        pytest.skip("not made yet: numba compiles")
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.mark.slow
def test_shipped_code_is_that_of_these_sources(archive):
    """If not, nothing is wrong but slow: run ``python benchmarks/ship_kernels.py``."""
    index = json.loads(archive.read(shipped.INDEX))
    assert set(index["returned"]) <= set(archive.namelist())
    assert index["sources"] == shipped.SOURCES
    for module, known in index.get("files", {}).items():
        import_module(module)
        assert shipped.hash_of_file(module) == known, f"{module} has changed: its functions are compiled"


def test_all_that_shipped_functions_return_is_known(archive):
    """One that returns arrays was compiled by numba after all, without a word."""
    for names in json.loads(archive.read(shipped.INDEX))["returned"].values():
        kind = shipped._type_of(names)
        kinds = list(kind) if len(names) > 1 else [kind] * len(names)
        assert [str(k) for k in kinds] == names


@pytest.fixture
def forgotten():
    """What is known of archives is asked anew, before and after."""
    shipped.returned_types.cache_clear()
    yield
    shipped.returned_types.cache_clear()


@pytest.mark.parametrize("content", [None, b"no archive", {"numba": "0.1", "returned": {"a": []}}])
def test_without_archive_for_this_numba_nothing_is_shipped(content, tmp_path, monkeypatch, forgotten):
    path = tmp_path / "narrow.zip"
    if isinstance(content, dict):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(shipped.INDEX, json.dumps(content))
    elif content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(shipped, "ARCHIVE", path)
    assert shipped.returned_types() == {}


def test_numba_compiles_what_llvm_cannot_read(tmp_path, monkeypatch, forgotten):
    def plus_one(x):
        return x + 1

    from numba import types

    key = shipped.key_of(plus_one, (types.int64,))
    path = tmp_path / "narrow.zip"
    with zipfile.ZipFile(path, "w") as archive:
        index = {"numba": shipped.numba_version(), "returned": {key: ["int64"]}}
        archive.writestr(shipped.INDEX, json.dumps(index))
        archive.writestr(key, b"no code")
    monkeypatch.setattr(shipped, "ARCHIVE", path)
    monkeypatch.setattr(shipped, "MACHINES", (os.uname().machine,))
    monkeypatch.delenv(shipped.SWITCH, raising=False)
    assert shipped.returned_types() == {key: ["int64"]}
    assert compiling.exact(plus_one)(1) == 2


def test_who_waits_is_told(monkeypatch, caplog):
    monkeypatch.setitem(compiling.SECONDS, "test_shipped", ("numbers", 1, 3))
    monkeypatch.setattr(compiling, "_told", set())
    monkeypatch.setitem(compiling.COMMON, "cache", False)

    def plus_two(x):
        return x + 2

    assert compiling.exact(plus_two)(1) == 3
    assert caplog.messages == ["compiling numbers for this processor, once: about 3 s"]
