"""i-PI drives a model: client, worker process, custom potential, input files and outputs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
