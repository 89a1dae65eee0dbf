"""The model file: archive, metadata, saving, loading."""

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.loading import find_model, load_potential, shipped_models
from schnet_calc.modelfile.metadata import Metadata
from schnet_calc.modelfile.potential import Potential
from schnet_calc.modelfile.saving import save_model

__all__ = [
    "Metadata",
    "ModelFileError",
    "Potential",
    "find_model",
    "load_potential",
    "save_model",
    "shipped_models",
]
