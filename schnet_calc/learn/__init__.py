"""From a molecule and any ASE calculator to a potential that knows where it can be trusted.

The loop of labelling, training, dynamics and doubt: :func:`learn`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
