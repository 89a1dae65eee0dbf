"""Kernels over the pairs of atoms: a program for each atom that receives, a row of features wide.

Each pair is in the list twice, once for either atom, so nobody writes where another does. Arrays of E directed
pairs: ``place`` int32, the interval of the table; ``factors`` (E, 4), the place t in it, the cutoff function over
the number of neighbours, its slope, and the rate of t times the former; ``geometry`` float64 (E, 4), the unit
vector from receiver to sender, and the distance.

Further arguments: ``numbers``, ``positions``, ``first``, ``senders``, ``shifts`` of a
:class:`~schnet_calc.kernels.cuda.batch.Batch`; ``constants``, ``lifted``, ``table`` and ``bias`` of the
:class:`~schnet_calc.kernels.cuda.weights.Weights`; ``atoms`` and ``strains`` float64 (N, 5) and (N, 6), results;
``K`` features of a filter, ``STRIDE`` numbers from row to row, ``BK`` and ``BE`` features and pairs at a time.
"""

import triton
import triton.language as tl

from schnet_calc.kernels.cuda.cutoffs import envelope


@triton.jit
def locate(
    numbers, positions, first, senders, shifts, constants, lifted, rows, place, factors, geometry, atoms,
    WIDTH: tl.constexpr, STRIDE: tl.constexpr, CUTOFF: tl.constexpr, BW: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """Embed an atom in rows of WIDTH numbers, and find where its pairs look into the tables.

    Into ``atoms`` goes its shortest distance. Arguments as in :mod:`.pairs`.
    """
    i = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BW)
    inside = columns < WIDTH
    row = tl.load(lifted + tl.load(numbers + i).to(tl.int64) * WIDTH + columns, mask=inside, other=0.0)
    tl.store(rows + i * STRIDE + columns, row, mask=inside)
    spacing, last_place = tl.load(constants), tl.load(constants + 1)
    share = tl.load(constants + 2)
    shortest = tl.load(constants + 3)
    start, stop = tl.load(first + i), tl.load(first + i + 1)
    for begin in range(start, stop, BE):
        e = begin + tl.arange(0, BE)
        there = e < stop
        j = tl.load(senders + e, mask=there, other=0).to(tl.int64)
        x = tl.load(positions + 3 * j) + tl.load(shifts + 3 * e, mask=there, other=0.0)
        y = tl.load(positions + 3 * j + 1) + tl.load(shifts + 3 * e + 1, mask=there, other=0.0)
        z = tl.load(positions + 3 * j + 2) + tl.load(shifts + 3 * e + 2, mask=there, other=0.0)
        x, y = x - tl.load(positions + 3 * i), y - tl.load(positions + 3 * i + 1)
        z -= tl.load(positions + 3 * i + 2)
        d = tl.where(there, tl.sqrt(x * x + y * y + z * z), 1.0)
        shortest = tl.minimum(shortest, tl.min(tl.where(there, d, shortest), axis=0))
        along = d / spacing
        k = tl.minimum(tl.floor(along), last_place)
        rate = tl.where(along > last_place + 1.0, 0.0, 1.0 / spacing)  # constant behind the table
        factor, falling = envelope(d, constants, CUTOFF)
        tl.store(place + e, k.to(tl.int32), mask=there)
        tl.store(factors + 4 * e, tl.minimum(along - k, 1.0), mask=there)
        tl.store(factors + 4 * e + 1, share * factor, mask=there)
        tl.store(factors + 4 * e + 2, share * falling, mask=there)
        tl.store(factors + 4 * e + 3, share * factor * rate, mask=there)
        tl.store(geometry + 4 * e, x / d, mask=there)
        tl.store(geometry + 4 * e + 1, y / d, mask=there)
        tl.store(geometry + 4 * e + 2, z / d, mask=there)
        tl.store(geometry + 4 * e + 3, d, mask=there)
    tl.store(atoms + 5 * i + 4, shortest)


@triton.jit
def convolve(
    first, senders, place, factors, table, y, bias, v,
    K: tl.constexpr, STRIDE: tl.constexpr, BK: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """v_i = sum_j W(d_ij) (y_j + bias); y has rows of STRIDE numbers, v of K. Arguments as in :mod:`.pairs`."""
    i = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BK)
    wide = columns < K
    shift = tl.load(bias + columns, mask=wide, other=0.0)[None, :]
    total = tl.zeros([BE, BK], dtype=v.dtype.element_ty)
    start, stop = tl.load(first + i), tl.load(first + i + 1)
    for begin in range(start, stop, BE):
        e = begin + tl.arange(0, BE)
        there = e < stop
        mask = there[:, None] & wide[None, :]
        j = tl.load(senders + e, mask=there, other=0).to(tl.int64)
        t = tl.load(factors + 4 * e, mask=there, other=0.0)[:, None]
        factor = tl.load(factors + 4 * e + 1, mask=there, other=0.0)[:, None]
        c = table + tl.load(place + e, mask=there, other=0)[:, None] * (6 * K) + columns[None, :]
        w = tl.load(c + 5 * K, mask=mask, other=0.0)
        for m in tl.static_range(4, -1, -1):
            w = w * t + tl.load(c + m * K, mask=mask, other=0.0)
        total += (
            factor * w * (tl.load(y + j[:, None] * STRIDE + columns[None, :], mask=mask, other=0.0) + shift)
        )
    tl.store(v + i * K + columns, tl.sum(total, axis=0), mask=wide)


@triton.jit
def convolve_adjoint(
    first, senders, place, factors, table, y, bias, g, u, slopes,
    K: tl.constexpr, STRIDE: tl.constexpr, FIRST: tl.constexpr, LAST: tl.constexpr,
    BK: tl.constexpr, BE: tl.constexpr,
):  # fmt: skip
    """u_i = sum_j W g_j, and slopes_ij += sum_k W' (y_i g_j + y_j g_i), y with its bias.

    The first to run finds no slopes to add to, and nobody wants the u of the last. Arguments as in :mod:`.pairs`.
    """
    i = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BK)
    wide = columns < K
    shift = tl.load(bias + columns, mask=wide, other=0.0)[None, :]
    yi = tl.load(y + i * STRIDE + columns, mask=wide, other=0.0)[None, :] + shift
    gi = tl.load(g + i * K + columns, mask=wide, other=0.0)[None, :]
    total = tl.zeros([BE, BK], dtype=g.dtype.element_ty)
    lanes = tl.arange(0, BE)
    start, stop = tl.load(first + i), tl.load(first + i + 1)
    for begin in range(start, stop, BE):
        e = begin + lanes
        there = e < stop
        mask = there[:, None] & wide[None, :]
        j = tl.load(senders + e, mask=there, other=0).to(tl.int64)
        w, rise = filters(place, factors, table, e, there, columns, mask, K)
        gj = tl.load(g + j[:, None] * K + columns[None, :], mask=mask, other=0.0)
        yj = tl.load(y + j[:, None] * STRIDE + columns[None, :], mask=mask, other=0.0) + shift
        s = tl.sum(tl.where(mask, rise * (yi * gj + yj * gi), 0.0), axis=1)
        if not FIRST:
            s += tl.load(slopes + e, mask=there, other=0.0)
        tl.store(slopes + e, s, mask=there)
        total += w * gj
    if not LAST:
        tl.store(u + i * STRIDE + columns, tl.sum(total, axis=0), mask=wide)


@triton.jit
def filters(place, factors, table, e, there, columns, mask, K: tl.constexpr):
    """Filters of pairs e times the cutoff function, and their slopes, each row of the table read once.

    Arguments as in :mod:`.pairs`, with masks of pairs (``there``) and of pairs and columns.
    """
    t = tl.load(factors + 4 * e, mask=there, other=0.0)[:, None]
    factor = tl.load(factors + 4 * e + 1, mask=there, other=0.0)[:, None]
    falling = tl.load(factors + 4 * e + 2, mask=there, other=0.0)[:, None]
    rate = tl.load(factors + 4 * e + 3, mask=there, other=0.0)[:, None]
    c = table + tl.load(place + e, mask=there, other=0)[:, None] * (6 * K) + columns[None, :]
    w = tl.load(c + 5 * K, mask=mask, other=0.0)
    rise = w * 0.0
    for m in tl.static_range(4, -1, -1):
        rise = rise * t + w
        w = w * t + tl.load(c + m * K, mask=mask, other=0.0)
    return factor * w, falling * w + rate * rise


@triton.jit
def pull(first, slopes, geometry, atoms, strains, BE: tl.constexpr):
    """Forces of atoms, into ``atoms`` (N, 5), and their virials (N, 6) xx, yy, zz, yz, xz, xy; all float64.

    Arguments as in :mod:`.pairs`.
    """
    i = tl.program_id(0).to(tl.int64)
    zero = tl.zeros([BE], dtype=tl.float64)
    fx, fy, fz = zero, zero, zero
    xx, yy, zz, yz, xz, xy = zero, zero, zero, zero, zero, zero
    start, stop = tl.load(first + i), tl.load(first + i + 1)
    for begin in range(start, stop, BE):
        e = begin + tl.arange(0, BE)
        there = e < stop
        s = tl.load(slopes + e, mask=there, other=0.0).to(tl.float64)
        x = tl.load(geometry + 4 * e, mask=there, other=0.0)
        y = tl.load(geometry + 4 * e + 1, mask=there, other=0.0)
        z = tl.load(geometry + 4 * e + 2, mask=there, other=0.0)
        fx, fy, fz = fx + s * x, fy + s * y, fz + s * z
        s *= 0.5 * tl.load(
            geometry + 4 * e + 3, mask=there, other=0.0
        )  # the pair's other half is the other atom's
        xx, yy, zz = xx + s * x * x, yy + s * y * y, zz + s * z * z
        yz, xz, xy = yz + s * y * z, xz + s * x * z, xy + s * x * y
    tl.store(atoms + 5 * i + 1, tl.sum(fx, axis=0))
    tl.store(atoms + 5 * i + 2, tl.sum(fy, axis=0))
    tl.store(atoms + 5 * i + 3, tl.sum(fz, axis=0))
    tl.store(strains + 6 * i, tl.sum(xx, axis=0))
    tl.store(strains + 6 * i + 1, tl.sum(yy, axis=0))
    tl.store(strains + 6 * i + 2, tl.sum(zz, axis=0))
    tl.store(strains + 6 * i + 3, tl.sum(yz, axis=0))
    tl.store(strains + 6 * i + 4, tl.sum(xz, axis=0))
    tl.store(strains + 6 * i + 5, tl.sum(xy, axis=0))
