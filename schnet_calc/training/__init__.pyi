from .config import DataConfig as DataConfig, RunConfig as RunConfig, TrainingConfig as TrainingConfig
from .evaluation import Evaluation as Evaluation, evaluate as evaluate
from .loop import Run as Run
from .workflow import export_model as export_model, finish as finish, train as train
