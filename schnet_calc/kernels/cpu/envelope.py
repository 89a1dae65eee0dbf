"""Cutoff functions and their derivatives, compiled; equations in :class:`schnet_calc.nn.CutoffFunction`."""

import math

from schnet_calc.kernels.cpu.compiling import jit

CUTOFFS = {"none": 0, "hard": 1, "cosine": 2, "mollifier": 3, "switch": 4}
"""Numbers of the functions, as compiled code takes them."""
COSINE, MOLLIFIER, SWITCH = CUTOFFS["cosine"], CUTOFFS["mollifier"], CUTOFFS["switch"]


@jit
def envelope(d, kind, cutoff, onset):  # type: ignore[no-untyped-def]
    """Factor and slope, 1/Å, at a distance d within the cutoff, Å."""
    if kind == COSINE:
        rate = math.pi / cutoff
        return 0.5 * (1.0 + math.cos(rate * d)), -0.5 * rate * math.sin(rate * d)
    if kind == MOLLIFIER:
        x = d / cutoff
        rest = 1.0 - x * x
        factor = math.exp(1.0 - 1.0 / rest)
        return factor, -2.0 * x * factor / (cutoff * rest * rest)
    if kind == SWITCH and d > onset:
        u = min(max((d - onset) / (cutoff - onset), 1e-3), 1.0 - 1e-3)
        factor = 1.0 / (1.0 + math.exp(1.0 / (1.0 - u) - 1.0 / u))
        steepness = (1.0 / (1.0 - u) ** 2 + 1.0 / u**2) / (cutoff - onset)
        return factor, -factor * (1.0 - factor) * steepness
    return 1.0, 0.0
