"""Trained SchNet potentials as ASE calculators.

>>> import schnet_calc
>>> "SchNetCalculator" in dir(schnet_calc)
True
"""

import sys

import lazy_loader

if sys.platform == "win32":
    raise ImportError("schnet_calc runs on Linux and macOS; on Windows use the Windows Subsystem for Linux")

__version__ = "0.2.0"

# Names are imported on first use, so that --help and the first error need no torch; __init__.pyi lists them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
