"""Kernels over atoms: layers next to an activation, the energy's head, and sums over structures.

Arguments that several have: ``x``, ``a``, ``gf`` (N, ...), a row for each of ``n_rows`` atoms; ``w`` and ``b``,
weights and bias of a layer from ``N_IN`` to ``N_OUT`` features; ``STRIDE``, numbers from row to row where rows are
wider than what is read; ``KIND`` of the activation; ``BR``, ``BC``, ``BI``, ``BH``, ``BA``, rows, columns and depth
of what a program has at a time. All kernels write into arrays that are given.
"""

import triton
import triton.language as tl

from schnet_calc.kernels.cuda.activation import activate, slope


@triton.jit(do_not_specialize=["n_rows"])
def dense(
    x, w, b, a, fa, n_rows,
    N_IN: tl.constexpr, N_OUT: tl.constexpr, STRIDE: tl.constexpr, KIND: tl.constexpr,
    BR: tl.constexpr, BC: tl.constexpr, BI: tl.constexpr,
):  # fmt: skip
    """Layer a = x w + b, and f(a), fa, in rows of STRIDE numbers; w (N_IN, N_OUT).

    Arguments as in :mod:`.dense`.
    """
    rows = (tl.program_id(0) * BR + tl.arange(0, BR)).to(tl.int64)
    columns = tl.program_id(1) * BC + tl.arange(0, BC)
    there, wide = rows < n_rows, columns < N_OUT
    total = tl.zeros([BR, BC], dtype=a.dtype.element_ty)
    for begin in range(0, N_IN, BI):
        k = begin + tl.arange(0, BI)
        deep = k < N_IN
        xs = tl.load(x + rows[:, None] * N_IN + k[None, :], mask=there[:, None] & deep[None, :], other=0.0)
        ws = tl.load(
            w + k[:, None] * N_OUT + columns[None, :], mask=deep[:, None] & wide[None, :], other=0.0
        )
        total += tl.dot(xs, ws, input_precision="ieee", out_dtype=total.dtype)
    total += tl.load(b + columns, mask=wide, other=0.0)[None, :]
    mask = there[:, None] & wide[None, :]
    tl.store(a + rows[:, None] * N_OUT + columns[None, :], total, mask=mask)
    tl.store(fa + rows[:, None] * STRIDE + columns[None, :], activate(total, KIND), mask=mask)


@triton.jit(do_not_specialize=["n_rows"])
def dense_adjoint(
    gf, a, w, gv, n_rows,
    N_IN: tl.constexpr, N_OUT: tl.constexpr, STRIDE: tl.constexpr, KIND: tl.constexpr,
    BR: tl.constexpr, BC: tl.constexpr, BI: tl.constexpr,
):  # fmt: skip
    """Derivatives gv = (f'(a) gf) w, gf in rows of STRIDE numbers; w (N_IN, N_OUT) is the layer's, transposed.

    Arguments as in :mod:`.dense`.
    """
    rows = (tl.program_id(0) * BR + tl.arange(0, BR)).to(tl.int64)
    columns = tl.program_id(1) * BC + tl.arange(0, BC)
    there, wide = rows < n_rows, columns < N_OUT
    total = tl.zeros([BR, BC], dtype=gv.dtype.element_ty)
    for begin in range(0, N_IN, BI):
        k = begin + tl.arange(0, BI)
        deep = k < N_IN
        mask = there[:, None] & deep[None, :]
        xs = tl.load(gf + rows[:, None] * STRIDE + k[None, :], mask=mask, other=0.0)
        xs *= slope(tl.load(a + rows[:, None] * N_IN + k[None, :], mask=mask, other=0.0), KIND)
        ws = tl.load(
            w + k[:, None] * N_OUT + columns[None, :], mask=deep[:, None] & wide[None, :], other=0.0
        )
        total += tl.dot(xs, ws, input_precision="ieee", out_dtype=total.dtype)
    mask = there[:, None] & wide[None, :]
    tl.store(gv + rows[:, None] * N_OUT + columns[None, :], total, mask=mask)


@triton.jit(do_not_specialize=["n_rows"])
def read_out(
    a, b, w, constant, q, hidden, atoms, n_rows,
    H: tl.constexpr, STRIDE: tl.constexpr, KIND: tl.constexpr, BR: tl.constexpr, BH: tl.constexpr,
):  # fmt: skip
    """Energies w f(a + b) + constant, into ``atoms`` (N, 5) float64, their derivatives q by a (N, H), and f(a + b).

    The rows of a have STRIDE numbers. Arguments as in :mod:`.dense`.
    """
    rows = (tl.program_id(0) * BR + tl.arange(0, BR)).to(tl.int64)
    columns = tl.arange(0, BH)
    there, wide = rows < n_rows, columns < H
    mask = there[:, None] & wide[None, :]
    at = rows[:, None] * H + columns[None, :]
    x = (
        tl.load(a + rows[:, None] * STRIDE + columns[None, :], mask=mask, other=0.0)
        + tl.load(b + columns, mask=wide, other=0.0)[None, :]
    )
    weights = tl.load(w + columns, mask=wide, other=0.0)[None, :]
    h = activate(x, KIND)
    tl.store(hidden + at, h, mask=mask)
    tl.store(q + at, weights * slope(x, KIND), mask=mask)
    energies = tl.sum(tl.where(mask, weights * h, 0.0).to(tl.float64), axis=1) + tl.load(constant)
    tl.store(atoms + 5 * rows, energies, mask=there)


@triton.jit
def sum_structures(strains, first_atoms, virials, BA: tl.constexpr):
    """Virials (B, 6) of those of atoms (N, 6), strains, float64, in fixed order. Arguments as in :mod:`.dense`."""
    s = tl.program_id(0)
    columns = tl.arange(0, 8)
    total = tl.zeros([BA, 8], dtype=tl.float64)
    start, stop = tl.load(first_atoms + s), tl.load(first_atoms + s + 1)
    for begin in range(start, stop, BA):
        rows = begin + tl.arange(0, BA)
        mask = (rows < stop)[:, None] & (columns < 6)[None, :]
        total += tl.load(strains + rows[:, None].to(tl.int64) * 6 + columns[None, :], mask=mask, other=0.0)
    tl.store(virials + 6 * s + columns, tl.sum(total, axis=0), mask=columns < 6)
