"""Labelled structures: properties, readers, splits."""

from schnet_calc.data.frames import Frames
from schnet_calc.data.labels import Labels
from schnet_calc.data.properties import PROPERTIES, Property, scalar
from schnet_calc.data.readers import read_frames, read_structure, read_structures
from schnet_calc.data.splits import Split, split_frames

__all__ = [
    "PROPERTIES",
    "Frames",
    "Labels",
    "Property",
    "Split",
    "read_frames",
    "read_structure",
    "read_structures",
    "scalar",
    "split_frames",
]
