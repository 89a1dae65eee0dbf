"""Models of other SchNet codes as networks of this package; nothing in their files is run.

SchNetPack (0.2, 0.3, 1 and 2: whole modules, checkpoints, plain weights, deployed TorchScript), PyTorch Geometric
(whole modules, checkpoints, plain weights), and the original in TensorFlow (checkpoints).

All functions in this room raise ``ModelFileError`` for what is damaged, missing or can't be expressed here; its
message names it.
"""

from schnet_calc.modelfile.importers.reading import Imported, foreign_format, read_foreign

__all__ = ["Imported", "foreign_format", "read_foreign"]
