"""Fixtures that many tests use."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers share the cores; more threads in each would wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

if torch.cuda.is_available():
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which its deterministic mode wants
else:
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before Triton is imported: its kernels on the CPU

from collections.abc import Callable, Iterator
from pathlib import Path

import ase
import numpy as np
import pytest
from matplotlib.figure import Figure

from helpers import (
    REFERENCES,
    STRUCTURES,
    pimd_rows,
    pimd_settings,
    random_network,
    remember_figures,
    write_model,
)
from schnet_calc import SchNetCalculator, cli
from schnet_calc.modelfile import save_model
from schnet_calc.simulate.pimd import run_pimd
from schnet_calc.studies.c20 import dodecahedron


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """One random model per architecture and dtype."""
    folder = tmp_path_factory.mktemp("models")
    return {
        name: {
            dtype: write_model(folder / f"{name}_{dtype}.pt", dtype, architecture=name)
            for dtype in ("float32", "float64")
        }
        for name in ("SchNet", "DTNN")
    }


@pytest.fixture(scope="session")
def models(networks: dict[str, dict[str, Path]]) -> dict[str, Path]:
    """The random SchNet per dtype."""
    return networks["SchNet"]


@pytest.fixture(scope="session")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three models that differ a little."""
    folder, paths = tmp_path_factory.mktemp("members"), []
    for k in range(3):
        network = random_network()
        with torch.no_grad():
            for p in network.parameters():
                p.add_(0.02 * k * torch.sin(torch.arange(p.numel(), dtype=p.dtype)).reshape(p.shape))
        save_model(folder / f"{k}.pt", network, REFERENCES)
        paths.append(folder / f"{k}.pt")
    return paths


@pytest.fixture(autouse=True)
def same_sums_on_gpus(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests on a GPU compare: there sums over pairs have no fixed order unless torch is asked for one."""
    wanted = request.node.get_closest_marker("gpu") is not None
    if wanted:
        torch.use_deterministic_algorithms(True)
    yield
    if wanted:
        torch.use_deterministic_algorithms(False)


@pytest.fixture(params=["script", "compiled"])
def engine(request: pytest.FixtureRequest) -> str:
    """Every engine."""
    return str(request.param)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    """Every floating point type."""
    return str(request.param)


@pytest.fixture(params=list(STRUCTURES))
def atoms(request: pytest.FixtureRequest) -> ase.Atoms:
    """A molecule and a crystal."""
    return STRUCTURES[request.param]()


@pytest.fixture
def calculator(models: dict[str, Path], dtype: str, engine: str) -> SchNetCalculator:
    """Every dtype with every engine."""
    return SchNetCalculator(models[dtype], device="cpu", engine=engine)


@pytest.fixture
def counted(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> tuple[SchNetCalculator, list[int]]:
    """A calculator, and the sizes of the batches that it evaluates."""
    calculator = SchNetCalculator(models["float64"], device="cpu")
    sizes, evaluate = [], calculator.engine.evaluate

    def counting(structures, heads=None):
        sizes.append(len(structures))
        return evaluate(structures, heads)

    monkeypatch.setattr(calculator.engine, "evaluate", counting)
    return calculator, sizes


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Set the number of torch's threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """Figures by the names of the files that they are written to."""
    return remember_figures(monkeypatch)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Call the command line; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["schnet-calc", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


@pytest.fixture(scope="session")
def c20() -> SchNetCalculator:
    """The shipped model of C20 in float64."""
    return SchNetCalculator("c20", device="cpu", dtype="float64")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short path: it holds UNIX sockets."""
    return tmp_path_factory.mktemp("i")


@pytest.fixture(scope="session")
def direct(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The trajectory of C20 that i-PI gets by evaluating the model itself."""
    folder = tmp_path_factory.mktemp("direct")
    settings = pimd_settings(transport="direct")
    run_pimd(dodecahedron(), "c20", settings, folder, device="cpu", dtype="float64")
    return pimd_rows(folder)
