"""A whole SchNet for one structure in one compiled call: the arithmetic and nothing around it.

At twenty atoms, a call into torch costs as much as the layer that it computes.
"""

import numpy as np

from schnet_calc.kernels.cpu.activation import activate
from schnet_calc.kernels.cpu.barrier import take, wait
from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.dense import product
from schnet_calc.kernels.cpu.pairs import convolve, convolve_adjoint, geometry, pull_together


@inner
def rows(n, n_features, like):  # type: ignore[no-untyped-def]
    """(n, F), not set, of the type of an array; it begins on a cache line."""
    spare = 64 // like.itemsize
    buffer = np.empty(n * n_features + spare, like.dtype)
    first = -buffer.ctypes.data % 64 // like.itemsize
    return buffer[first : first + n * n_features].reshape(n, n_features)


@inner
def clear(x):  # type: ignore[no-untyped-def]
    """Zeros (N, F); a loop, since numba takes seconds to compile what assigns to slices."""
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            x[n, f] = 0


@inner
def look_up(table, numbers, x):  # type: ignore[no-untyped-def]
    """Fill x (N, F) with the rows of a table (Z, F) that belong to atomic numbers (N,)."""
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            x[n, f] = table[numbers[n], f]


@inner
def atomwise(v, t, weights, x, slope):  # type: ignore[no-untyped-def]
    """Add the two layers that follow the convolution of block t to x; the activation's slope."""
    a = rows(v.shape[0], v.shape[1], v)
    product(v, weights.dense[t, 1], weights.bias[t, 1], a, False)
    activate(a, slope)
    product(a, weights.dense[t, 2], weights.bias[t, 2], x, True)


@inner
def atomwise_adjoint(gx, t, weights, slope, g):  # type: ignore[no-untyped-def]
    """Fill the gradient by v of block t from that by x."""
    a = rows(g.shape[0], g.shape[1], g)
    product(gx, weights.dense_back[t, 2], weights.no_bias, a, False)
    for n in range(a.shape[0]):
        for f in range(a.shape[1]):
            a[n, f] *= slope[n, f]
    product(a, weights.dense_back[t, 1], weights.no_bias, g, False)


@inner
def read_out(x, weights, energies, gx):  # type: ignore[no-untyped-def]
    """Fill the atomic energies (N,) from the last features, and their derivatives (N, F)."""
    hidden = rows(x.shape[0], weights.hidden_bias.shape[0], x)
    product(x, weights.hidden, weights.hidden_bias, hidden, False)
    slope = np.empty_like(hidden)
    activate(hidden, slope)
    for n in range(hidden.shape[0]):
        energy = weights.constants[0]
        for f in range(hidden.shape[1]):
            energy += hidden[n, f] * weights.output[f]
            slope[n, f] *= weights.output[f]
        energies[n] = energy
    product(slope, weights.hidden_back, weights.no_bias, gx, False)


@inner
def gather(sums, part, first, last):  # type: ignore[no-untyped-def]
    """Add to the rows from first to last of one part's sums (n_parts, N, F) those of the others."""
    for other in range(sums.shape[0]):
        if other == part:
            continue
        for n in range(first, last):
            for f in range(sums.shape[2]):
                sums[part, n, f] += sums[other, n, f]


@inner
def evaluate_part(  # type: ignore[no-untyped-def]
    part, arrivals, numbers, positions, i, j, shifts, weights, shared, energies, forces, virials, nearest
):
    """What one of several threads does: a range of the pairs, and a range of the atoms.

    All fill atomic energies (N,); each fills forces (N, 3), virial (3, 3), and index and distance of the
    closest pair (2,) of its own pairs, all float64. The pairs (P,) may reach beyond the cutoff. In common
    (T + 1 + n_parts, N, F) are the features before the convolutions, a gradient and each part's sums.
    Arrays are filled, not returned: numba calls Python to make them, and a signal whose handler raises
    there (Ctrl-C) is lost in a SystemError, or worse.
    """
    n_parts, n_blocks, n_filters = forces.shape[0], weights.dense.shape[0], weights.tables.shape[0]
    n_atoms, n_features = shared.shape[1], shared.shape[2]
    ys, g, sums = shared[:n_blocks], shared[n_blocks], shared[n_blocks + 1 :]
    here = slice(i.shape[0] * part // n_parts, i.shape[0] * (part + 1) // n_parts)
    near, knot, w, unit, length, closest, shortest = geometry(
        positions, i[here], j[here], shifts[here], weights
    )
    nearest[part, 0], nearest[part, 1] = here.start + closest, shortest
    first, last = n_atoms * part // n_parts, n_atoms * (part + 1) // n_parts
    x = rows(last - first, n_features, g)
    slopes = rows(n_blocks * (last - first), n_features, g).reshape(n_blocks, last - first, n_features)
    meetings = 0
    look_up(weights.embedding, numbers[first:last], x)
    look_up(weights.lifted, numbers[first:last], ys[0, first:last])
    for t in range(n_blocks):
        if t > 0:
            product(x, weights.dense[t, 0], weights.bias[t, 0], ys[t, first:last], False)
        if not wait(arrivals, meetings, n_parts):
            return
        clear(sums[part])
        convolve(near, knot, w, weights.tables[t % n_filters], ys[t], sums[part])
        if not wait(arrivals, meetings + 1, n_parts):
            return
        meetings += 2
        gather(sums, part, first, last)
        atomwise(sums[part, first:last], t, weights, x, slopes[t])
    read_out(x, weights, energies[first:last], x)
    s = np.zeros(near.shape[0], g.dtype)
    for t in range(n_blocks - 1, -1, -1):
        atomwise_adjoint(x, t, weights, slopes[t], g[first:last])
        if not wait(arrivals, meetings, n_parts):
            return
        clear(sums[part])
        convolve_adjoint(near, knot, w, weights.tables[t % n_filters], ys[t], g, sums[part], s)
        if t == 0:
            break
        if not wait(arrivals, meetings + 1, n_parts):
            return
        meetings += 2
        gather(sums, part, first, last)
        product(sums[part, first:last], weights.dense_back[t, 0], weights.no_bias, x, True)
    clear(forces[part])
    clear(virials[part])
    pull_together(near, s, unit, length, forces[part], virials[part])
    wait(arrivals, meetings + 1, n_parts)


@jit
def evaluate(  # type: ignore[no-untyped-def]
    part,
    arrivals,
    turns,
    atoms,
    pairs,
    numbers,
    positions,
    i,
    j,
    shifts,
    weights,
    shared,
    energies,
    forces,
    virials,
    nearest,
):
    """One structure with all parts, or many that the parts take in turn.

    Atoms (B + 1,) and pairs (B + 1,) tell where each of the B structures begins. For one structure see
    :func:`evaluate_part`; for many, which share no atoms, forces are (1, N, 3) of all atoms, virials
    (B, 3, 3), nearest (B, 2).
    """
    n_structures, n_blocks = atoms.shape[0] - 1, weights.dense.shape[0]
    k, me, meeting, space = 0, part, arrivals, shared
    forces_of, virials_of, nearest_of = forces, virials, nearest
    together = shared.shape[1] > 0
    alone = np.zeros(1, np.int64)
    while True:
        if not together:
            k = take(turns)
            if k >= n_structures:
                break
        a, b, p, q = atoms[k], atoms[k + 1], pairs[k], pairs[k + 1]
        if not together:
            n_features = weights.embedding.shape[1]
            own = rows((n_blocks + 2) * (b - a), n_features, weights.embedding)
            me, meeting, space = 0, alone, own.reshape(n_blocks + 2, b - a, n_features)
            forces_of = forces[0, a:b].reshape(1, b - a, 3)
            virials_of, nearest_of = virials[k : k + 1], nearest[k : k + 1]
        # Called in one place only: its code is copied to wherever it is called.
        evaluate_part(
            me,
            meeting,
            numbers[a:b],
            positions[a:b],
            i[p:q],
            j[p:q],
            shifts[p:q],
            weights,
            space,
            energies[a:b],
            forces_of,
            virials_of,
            nearest_of,
        )
        if together:
            return
    wait(arrivals, 0, shared.shape[0] - n_blocks - 1)
