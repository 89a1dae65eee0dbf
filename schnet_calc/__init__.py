"""Trained SchNet potentials as ASE calculators.

>>> import schnet_calc
>>> "SchNetCalculator" in dir(schnet_calc)
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from schnet_calc.calculator import SchNetCalculator
    from schnet_calc.data import read_frames
    from schnet_calc.errors import SchNetCalcError
    from schnet_calc.ipi.input import PIMDSettings
    from schnet_calc.model import Model, load_model
    from schnet_calc.modelfile.importing import import_model
    from schnet_calc.nn import register
    from schnet_calc.simulate.md import run_md
    from schnet_calc.simulate.md_files import MDSettings
    from schnet_calc.simulate.modes import normal_modes
    from schnet_calc.simulate.pimd import run_pimd
    from schnet_calc.simulate.relax import relax
    from schnet_calc.training import train
    from schnet_calc.training.evaluation import evaluate

PLACES = {
    "MDSettings": "simulate.md_files",
    "Model": "model",
    "PIMDSettings": "ipi.input",
    "SchNetCalcError": "errors",
    "SchNetCalculator": "calculator",
    "evaluate": "training",
    "import_model": "modelfile.importing",
    "load_model": "model",
    "normal_modes": "simulate.modes",
    "read_frames": "data",
    "register": "nn",
    "relax": "simulate.relax",
    "run_md": "simulate.md",
    "run_pimd": "simulate.pimd",
    "train": "training",
}
"""The module that each public name comes from; imported on first use, so that --help needs no torch."""

__all__ = [
    "MDSettings",
    "Model",
    "PIMDSettings",
    "SchNetCalcError",
    "SchNetCalculator",
    "evaluate",
    "import_model",
    "load_model",
    "normal_modes",
    "read_frames",
    "register",
    "relax",
    "run_md",
    "run_pimd",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PLACES})
