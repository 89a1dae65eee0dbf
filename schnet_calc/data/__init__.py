"""Labelled structures: readers and splits."""

from schnet_calc.data.frames import Frames
from schnet_calc.data.readers import read_frames, read_structure, read_structures
from schnet_calc.data.splits import Split, split_frames

__all__ = ["Frames", "Split", "read_frames", "read_structure", "read_structures", "split_frames"]
