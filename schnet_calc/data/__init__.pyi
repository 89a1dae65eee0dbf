from .frames import Frames as Frames
from .labels import Labels as Labels
from .properties import PROPERTIES as PROPERTIES, Property as Property, scalar as scalar
from .readers import (
    read_frames as read_frames,
    read_structure as read_structure,
    read_structures as read_structures,
)
from .splits import Split as Split, split_frames as split_frames
