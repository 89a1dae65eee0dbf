"""Cutoff functions and their derivatives, compiled; equations in :class:`schnet_calc.nn.CutoffFunction`."""

import math

from schnet_calc.kernels.cpu.compiling import exact, exact_inner

CUTOFFS = {"none": 0, "hard": 1, "cosine": 2, "mollifier": 3, "switch": 4}
"""Numbers of the functions, as compiled code takes them."""
COSINE, MOLLIFIER, SWITCH = CUTOFFS["cosine"], CUTOFFS["mollifier"], CUTOFFS["switch"]

TAYLOR = tuple((1.0 / math.factorial(k + 1), 1.0 / math.factorial(k)) for k in range(22, -1, -2))
"""Of sin x / x and cos x, without signs, from the highest power of x² to the lowest."""


@exact
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


@exact_inner
def envelopes(length, kind, cutoff, onset, factor, slope):  # type: ignore[no-untyped-def]
    """Fill factors and slopes (P,), 1/Å, at distances (P,) within the cutoff, Å."""
    if kind == COSINE:
        rate = math.pi / cutoff
        for p in range(length.shape[0]):
            sine, cosine = _sine_and_cosine(rate * length[p] - 0.5 * math.pi)
            factor[p], slope[p] = 0.5 * (1.0 - sine), -0.5 * rate * cosine
    else:
        for p in range(length.shape[0]):
            factor[p], slope[p] = envelope(length[p], kind, cutoff, onset)


@exact_inner
def _sine_and_cosine(x):  # type: ignore[no-untyped-def]
    """Both at x from -π/2 to π/2, by Taylor series up to the rounding of float64: a library's can't be a vector."""
    y = x * x
    sine, cosine = 0.0, 0.0
    for of_sine, of_cosine in TAYLOR:
        sine = of_sine - y * sine
        cosine = of_cosine - y * cosine
    return x * sine, cosine
