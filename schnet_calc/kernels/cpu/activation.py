"""The shifted softplus and its derivative, compiled.

Compilers call exp and log one number at a time, which would take as long as a layer. In float32 both are
polynomials here, which vectorise; float64 leaves them to the library.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numpy.polynomial import Chebyshev, Polynomial

from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.simd import intrinsic


def _fit(function, degree):  # type: ignore[no-untyped-def]
    """Coefficients on [0, 1], lowest first."""
    series = Chebyshev.interpolate(function, degree, domain=[0, 1])
    return tuple(float(c) for c in series.convert(kind=Polynomial).coef)


LOG2 = float(np.log(2.0))
P0, P1, P2, P3, P4, P5, P6 = _fit(np.exp2, 6)
"""2^r, within 2e-9"""
L0, L1, L2, L3, L4, L5, L6, L7, L8, L9 = _fit(lambda e: np.log1p(e) / np.maximum(e, 1e-300), 9)
"""ln(1 + e) / e, within 1e-9"""


@intrinsic
def _power_of_two(typingctx, whole):  # type: ignore[no-untyped-def]
    """2^n of an int32 n from -126 on, as float32: the integer goes into the exponent's bits."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (n,) = arguments
        bits = builder.shl(builder.add(n, n.type(127)), n.type(23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int32), codegen


@jit
def activate(a, slope):  # type: ignore[no-untyped-def]
    """Replace a by ssp(a), and fill its derivative, the logistic function; any shape."""
    af, sf = a.reshape(-1), slope.reshape(-1)
    if a.itemsize == 4:
        _single(af, sf)
    else:
        _double(af, sf)


@inner
def _double(af, sf):  # type: ignore[no-untyped-def]
    for n in range(af.size):
        x = af[n]
        e = np.exp(-abs(x))
        af[n] = max(x, 0.0) + np.log1p(e) - LOG2
        sf[n] = (1.0 if x > 0 else e) / (1.0 + e)


@inner
def _single(af, sf):  # type: ignore[no-untyped-def]
    one, zero, log2 = np.float32(1.0), np.float32(0.0), np.float32(LOG2)
    rate, lowest = np.float32(1.0 / LOG2), np.float32(-126.0)
    for n in range(af.size):
        x = af[n]
        # exp(-|x|) = 2^z, of the whole part of z and the rest.
        z = max(-abs(x) * rate, lowest)
        whole = np.floor(z)
        r = z - whole
        e = np.float32(P5) + r * np.float32(P6)
        e = np.float32(P3) + r * (np.float32(P4) + r * e)
        e = np.float32(P0) + r * (np.float32(P1) + r * (np.float32(P2) + r * e))
        e *= _power_of_two(np.int32(whole))
        log = np.float32(L7) + e * (np.float32(L8) + e * np.float32(L9))
        log = np.float32(L4) + e * (np.float32(L5) + e * (np.float32(L6) + e * log))
        log = np.float32(L1) + e * (np.float32(L2) + e * (np.float32(L3) + e * log))
        log = e * (np.float32(L0) + e * log)
        af[n] = max(x, zero) + log - log2
        sf[n] = (one if x > zero else e) / (one + e)
