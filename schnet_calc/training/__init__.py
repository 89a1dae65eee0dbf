"""Training of networks and export of model files."""

from schnet_calc.training.config import DataConfig, RunConfig, TrainingConfig
from schnet_calc.training.export import export_model
from schnet_calc.training.loop import Run

__all__ = ["DataConfig", "Run", "RunConfig", "TrainingConfig", "export_model"]
