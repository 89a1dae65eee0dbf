"""Training of networks, their errors, and export of model files."""

from schnet_calc.training.config import DataConfig, RunConfig, TrainingConfig
from schnet_calc.training.evaluation import Evaluation, evaluate
from schnet_calc.training.export import export_model
from schnet_calc.training.loop import Run
from schnet_calc.training.workflow import finish, train

__all__ = [
    "DataConfig",
    "Evaluation",
    "Run",
    "RunConfig",
    "TrainingConfig",
    "evaluate",
    "export_model",
    "finish",
    "train",
]
