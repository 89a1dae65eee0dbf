from .diversity import choose_diverse as choose_diverse
from .loop import learn as learn
from .result import LearnResult as LearnResult, Round as Round
from .settings import LearnSettings as LearnSettings
