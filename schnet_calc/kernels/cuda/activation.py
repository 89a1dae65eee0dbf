"""Activations and their derivatives, for kernels; equations in :mod:`schnet_calc.nn.activation`."""

import triton
import triton.language as tl

KINDS = {"ssp": 0, "softplus": 1, "silu": 2, "tanh": 3, "identity": 4}
"""Numbers of the activations, as kernels take them."""


@triton.jit
def activate(x, KIND: tl.constexpr):
    """f(x), element by element; all constants are exact in any type."""
    if KIND == 0:
        y = tl.maximum(x, 0.0) + tl.log(0.5 + 0.5 * tl.exp(-tl.abs(x)))
    elif KIND == 1:
        y = tl.maximum(x, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(x)))
    elif KIND == 2:
        y = x / (1.0 + tl.exp(-x))
    elif KIND == 3:
        y = 2.0 / (1.0 + tl.exp(-2.0 * x)) - 1.0
    else:
        y = x
    return y


@triton.jit
def slope(x, KIND: tl.constexpr):
    """f'(x), element by element."""
    s = 1.0 / (1.0 + tl.exp(-x))
    if KIND == 2:
        s = s * (1.0 + x * (1.0 - s))
    elif KIND == 3:
        t = 2.0 / (1.0 + tl.exp(-2.0 * x)) - 1.0
        s = 1.0 - t * t
    elif KIND == 4:
        s = x * 0.0 + 1.0
    return s
