from .calculator import SchNetCalculator as SchNetCalculator
from .data import read_frames as read_frames
from .errors import SchNetCalcError as SchNetCalcError
from .ipi.settings import PIMDSettings as PIMDSettings
from .model import Model as Model, load_model as load_model
from .modelfile.importing import import_model as import_model
from .nn import register as register
from .simulate.md import run_md as run_md
from .simulate.modes import normal_modes as normal_modes
from .simulate.pimd import run_pimd as run_pimd
from .simulate.relax import relax as relax
from .simulate.ring_polymer_run import run_ring_polymers as run_ring_polymers
from .simulate.settings import MDSettings as MDSettings
from .training import evaluate as evaluate, train as train

__version__: str
