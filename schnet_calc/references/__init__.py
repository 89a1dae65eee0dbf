"""Where labels come from: any ASE calculator, by its name, by a file that makes it, or as it is."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
