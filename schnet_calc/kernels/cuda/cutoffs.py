"""Cutoff functions and their derivatives, for kernels; equations in :class:`schnet_calc.nn.CutoffFunction`."""

import triton
import triton.language as tl

CONSTANTS = ("spacing", "last place", "share", "infinity", "cutoff", "onset", "rate", "width")
"""What kernels find in their float64 array of constants: Å, intervals, 1 / number of neighbours, inf, Å, Å, 1/Å
(pi over the cutoff) and Å (from onset to cutoff). Numbers that are handed to a kernel are rounded to float32."""


@triton.jit
def envelope(d, constants, KIND: tl.constexpr):
    """Return factor and slope, 1/Å; both zero beyond the cutoff.

    Parameters
    ----------
    d : block
        Distances, Å, float64.
    constants : pointer
        See :data:`CONSTANTS`.
    KIND : constant
        Of the cutoff function.
    """
    cutoff = tl.load(constants + 4)
    inside = d < cutoff
    factor = tl.where(inside, d * 0.0 + 1.0, 0.0)
    falling = d * 0.0
    if KIND == 2:  # cosine
        rate = tl.load(constants + 6)
        factor = tl.where(inside, 0.5 * (1.0 + tl.cos(rate * d)), 0.0)
        falling = tl.where(inside, -0.5 * rate * tl.sin(rate * d), 0.0)
    if KIND == 3:  # mollifier
        x = tl.where(inside, d / cutoff, 0.0)
        rest = 1.0 - x * x
        factor = tl.where(inside, tl.exp(1.0 - 1.0 / rest), 0.0)
        falling = -2.0 * x * factor / (cutoff * rest * rest)
    if KIND == 4:  # switch
        onset, width = tl.load(constants + 5), tl.load(constants + 7)
        u = tl.minimum(tl.maximum((d - onset) / width, 1e-3), 0.999)
        exponent = tl.minimum(1.0 / (1.0 - u) - 1.0 / u, 80.0)  # beyond, float32 has no room
        fading = 1.0 / (1.0 + tl.exp(exponent))
        steepness = (1.0 / ((1.0 - u) * (1.0 - u)) + 1.0 / (u * u)) / width
        within = inside & (d > onset)
        factor = tl.where(within, fading, factor)
        falling = tl.where(within, -fading * (1.0 - fading) * steepness, 0.0)
    return factor, falling
