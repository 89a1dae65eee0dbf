"""Small models and structures that the tests share."""

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers share the cores; more threads in each would wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import save_model
from schnet_calc.nn import DTNN, SchNet, make_network, network_config

DATA = Path(os.environ.get("SCHNET_CALC_DATA", Path(__file__).parents[2] / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no reference data in {DATA}; set SCHNET_CALC_DATA"
)
ELEMENTS = (1, 6, 8, 14)
REFERENCES = {1: -13.6, 6: -1030.1, 8: -2042.3, 14: -7872.4}


def random_network(
    dtype: torch.dtype = torch.float64, architecture: str = "SchNet", **options: object
) -> SchNet | DTNN:
    """A small network with random weights; wide Gaussians keep its energy surface smooth."""
    torch.manual_seed(3)
    defaults = {"n_features": 24, "n_interactions": 2, "n_gaussians": 16, "cutoff": 4.0}
    return make_network(network_config(architecture, {**defaults, **options})).to(dtype)


def write_model(path: Path, dtype: str = "float64", **options: object) -> Path:
    """A model file with random weights."""
    save_model(path, random_network(getattr(torch, dtype), **options), REFERENCES)
    return path


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


def ethanol() -> ase.Atoms:
    """A molecule off its minimum."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def skewed_silicon() -> ase.Atoms:
    """A sheared, displaced primitive cell whose atoms see several of their own images."""
    atoms = bulk("Si")
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.05 * np.arange(9).reshape(3, 3) / 9), scale_atoms=True)
    atoms.rattle(0.05, seed=2)
    return atoms


STRUCTURES = {"molecule": ethanol, "crystal": skewed_silicon}


@pytest.fixture(params=["script", "fused"])
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
