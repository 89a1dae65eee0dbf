"""What a network has learned (thesis Sections 3.6 and 4.5): arrays, which ``plots`` draws."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
