"""Which models the fast engines evaluate."""

import torch

from schnet_calc.modelfile import Potential
from schnet_calc.nn import ARCHITECTURES, SchNet


def supports(potential: Potential) -> bool:
    """Return whether the kernels know the arithmetic of this model."""
    return potential.native and ARCHITECTURES[potential.metadata.architecture].network.compiled


def compiled_network(potential: Potential) -> SchNet:
    """Return the network in float64.

    Raises
    ------
    ValueError
        The kernels don't know its arithmetic.
    """
    if not supports(potential):
        raise ValueError(
            f"the compiled engine evaluates SchNets with plain weights; "
            f"{potential.path or 'this model'} is none: use engine='script'"
        )
    network = potential.network()
    assert isinstance(network, SchNet)
    return network.to(torch.float64)
