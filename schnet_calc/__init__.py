"""Trained SchNet potentials as ASE calculators."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["SchNetCalculator", "load_model"]

if TYPE_CHECKING:
    from schnet_calc.calculator import SchNetCalculator
    from schnet_calc.modelfile.potential import load_model


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line answers --help without loading torch.
    if name == "SchNetCalculator":
        from schnet_calc.calculator import SchNetCalculator

        return SchNetCalculator
    if name == "load_model":
        from schnet_calc.modelfile.potential import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
