"""Activation functions and their derivatives, compiled.

Compilers call exp and log one number at a time, which would take as long as a layer. In float32 both are
polynomials here, which vectorise; float64 leaves them to the library. All four functions need one
exponential of a negative number.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numpy.polynomial import Chebyshev, Polynomial

from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.simd import intrinsic

KINDS = {"ssp": 0, "softplus": 1, "silu": 2, "tanh": 3, "identity": 4}
"""Numbers of the functions, as compiled code takes them; see :mod:`schnet_calc.nn.activation`."""
SOFTPLUS, SILU, TANH, IDENTITY = KINDS["softplus"], KINDS["silu"], KINDS["tanh"], KINDS["identity"]


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
def activate(a, slope, kind):  # type: ignore[no-untyped-def]
    """Replace a by f(a), and fill its derivative; any shape; f is one of :data:`KINDS`."""
    af, sf = a.reshape(-1), slope.reshape(-1)
    if kind == IDENTITY:
        for n in range(af.size):
            sf[n] = 1
    elif a.itemsize == 4:
        _single(af, sf, kind)
    else:
        _double(af, sf, kind)


@inner
def _double(af, sf, kind):  # type: ignore[no-untyped-def]
    for n in range(af.size):
        x = af[n]
        if kind == TANH:
            af[n] = np.tanh(x)
            sf[n] = 1.0 - af[n] * af[n]
            continue
        e = np.exp(-abs(x))
        s = (1.0 if x > 0 else e) / (1.0 + e)
        if kind == SILU:
            af[n] = x * s
            sf[n] = s * (1.0 + x * (1.0 - s))
        else:
            af[n] = max(x, 0.0) + np.log1p(e) - (0.0 if kind == SOFTPLUS else LOG2)
            sf[n] = s


@inner
def _exp_minus(x):  # type: ignore[no-untyped-def]
    """exp(-|x|) in float32: 2^z, of the whole part of z and the rest.

    Not below 2^-64, a hundredth of a millionth of float32's resolution of one: products of smaller numbers
    would be subnormal, which take a hundred times as long.
    """
    z = max(-abs(x) * np.float32(1.0 / LOG2), np.float32(-64.0))
    whole = np.floor(z)
    r = z - whole
    e = np.float32(P5) + r * np.float32(P6)
    e = np.float32(P3) + r * (np.float32(P4) + r * e)
    e = np.float32(P0) + r * (np.float32(P1) + r * (np.float32(P2) + r * e))
    return e * _power_of_two(np.int32(whole))


@inner
def _single(af, sf, kind):  # type: ignore[no-untyped-def]
    one, zero = np.float32(1.0), np.float32(0.0)
    if kind == SILU:
        for n in range(af.size):
            x = af[n]
            e = _exp_minus(x)
            s = (one if x > zero else e) / (one + e)
            af[n] = x * s
            sf[n] = s * (one + x * (one - s))
        return
    if kind == TANH:
        for n in range(af.size):
            x = af[n]
            e = _exp_minus(x + x)
            t = (one - e) / (one + e)
            af[n] = t if x > zero else -t
            sf[n] = one - t * t
        return
    shift = zero if kind == SOFTPLUS else np.float32(LOG2)
    for n in range(af.size):
        x = af[n]
        e = _exp_minus(x)
        log = np.float32(L7) + e * (np.float32(L8) + e * np.float32(L9))
        log = np.float32(L4) + e * (np.float32(L5) + e * (np.float32(L6) + e * log))
        log = np.float32(L1) + e * (np.float32(L2) + e * (np.float32(L3) + e * log))
        log = e * (np.float32(L0) + e * log)
        af[n] = max(x, zero) + log - shift
        sf[n] = (one if x > zero else e) / (one + e)


@jit
def curvature(a, f, slope, kind, out):  # type: ignore[no-untyped-def]
    """Fill out with f'' from a, f(a) and f'(a), all of one shape."""
    af, ff, sf, of = a.reshape(-1), f.reshape(-1), slope.reshape(-1), out.reshape(-1)
    one, two = a.dtype.type(1.0), a.dtype.type(2.0)
    if kind == IDENTITY:
        for n in range(af.size):
            of[n] = 0
    elif kind == TANH:
        for n in range(af.size):
            of[n] = -two * ff[n] * sf[n]
    elif kind == SILU:
        for n in range(af.size):
            x = af[n]
            e = _exp_minus(x) if a.itemsize == 4 else np.exp(-abs(x))
            s = (one if x > 0 else e) / (one + e)
            of[n] = s * (one - s) * (two + x * (one - two * s))
    else:
        for n in range(af.size):
            of[n] = sf[n] * (one - sf[n])
