from .finding import (
    find_model as find_model,
    model_sources as model_sources,
    shipped_models as shipped_models,
)
from .loading import load_potential as load_potential
from .metadata import Metadata as Metadata
from .opening import ModelFile as ModelFile, open_model_file as open_model_file
from .potential import Potential as Potential
from .saving import save_model as save_model
