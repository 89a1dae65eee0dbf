"""A whole SchNet for one structure in one compiled call: the arithmetic and nothing around it.

At twenty atoms, a call into torch costs as much as the layer that it computes. ``README.md`` beside this
room has the equations, the shapes, and who waits where.
"""

import numpy as np

from schnet_calc.kernels.cpu.activation import activate
from schnet_calc.kernels.cpu.arrays import PairedStructures, Portion, Results
from schnet_calc.kernels.cpu.barrier import Member, take, wait
from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.dense import dense, dense_adjoint
from schnet_calc.kernels.cpu.geometry import carve, geometry, shares, words
from schnet_calc.kernels.cpu.grading import grade
from schnet_calc.kernels.cpu.pairs import convolve, convolve_adjoint, convolve_slopes, pull_together
from schnet_calc.structures.neighbors import HalfPairs


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
def copy(x, y):  # type: ignore[no-untyped-def]
    """Fill y (N, F) with x."""
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            y[n, f] = x[n, f]


@inner
def look_up(table, numbers, x):  # type: ignore[no-untyped-def]
    """Fill x (N, F) with the rows of a table (Z, F) that belong to atomic numbers (N,)."""
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            x[n, f] = table[numbers[n], f]


@inner
def multiply(a, slope):  # type: ignore[no-untyped-def]
    """Multiply a by slope, both (N, F)."""
    for n in range(a.shape[0]):
        for f in range(a.shape[1]):
            a[n, f] *= slope[n, f]


@inner
def scale(x, share):  # type: ignore[no-untyped-def]
    """Multiply the rows of x (N, K) by their shares (N,); nothing if there are none (0,)."""
    for n in range(share.shape[0]):
        for f in range(x.shape[1]):
            x[n, f] *= share[n]


@inner
def n_blocks_of(weights):  # type: ignore[no-untyped-def]
    """T: three layers each, then those of the head, whose number the codes tell."""
    return (weights.layers.places.shape[0] - weights.codes.n_head_layers) // 3


@inner
def atomwise(v, t, weights, x, slope):  # type: ignore[no-untyped-def]
    """Add the two layers that follow the convolution of block t to x; fill the activation's slope."""
    a = rows(v.shape[0], x.shape[1], v)
    dense(v, weights.layers, 3 * t + 1, a, False)
    activate(a, slope, weights.codes.activation)
    dense(a, weights.layers, 3 * t + 2, x, True)


@inner
def atomwise_adjoint(gx, t, weights, slope, g):  # type: ignore[no-untyped-def]
    """Fill the gradient g (N, K) by v of block t from that by x, gx (N, F)."""
    a = rows(g.shape[0], gx.shape[1], g)
    dense_adjoint(gx, weights.layers, 3 * t + 2, a, False)
    multiply(a, slope)
    dense_adjoint(a, weights.layers, 3 * t + 1, g, False)


@inner
def read_out(x, numbers, weights, energies, grades, summed):  # type: ignore[no-untyped-def]
    """Fill the atomic energies (N,) from the last features x (N, F), which become their derivatives.

    With statistics of the last hidden layer, fill the atoms' grades (N,) and the sum of its activations (H,), too.
    """
    n_layers, n_atoms = weights.codes.n_head_layers, x.shape[0]
    first, widest = weights.layers.places.shape[0] - n_layers, weights.codes.widest
    h, other = rows(n_atoms, widest, x), rows(n_atoms, widest, x)
    slopes = rows(n_layers * n_atoms, widest, x).reshape(n_layers, n_atoms, widest)

    # Forwards, layer by layer; all have the width of the widest, padded.
    for k in range(n_layers):
        dense(x if k == 0 else h, weights.layers, first + k, other, False)
        activate(other, slopes[k], weights.codes.head_activation)
        h, other = other, h

    if weights.grading.slots.shape[0] > 0:
        grade(h, numbers, weights.grading, other[0], grades, summed)

    # The energy, and its derivative by the last hidden layer before its activation.
    for n in range(n_atoms):
        energy = weights.constants.bias
        for f in range(widest):
            energy += h[n, f] * weights.output[f]
            h[n, f] = slopes[n_layers - 1, n, f] * weights.output[f]
        energies[n] = energy

    # Backwards.
    for k in range(n_layers - 1, 0, -1):
        dense_adjoint(h, weights.layers, first + k, other, False)
        multiply(other, slopes[k - 1])
        h, other = other, h
    dense_adjoint(h, weights.layers, first, x, False)


@inner
def gather(sums, part, first, last):  # type: ignore[no-untyped-def]
    """Add to the rows from first to last of one part's sums (n_parts, N, K) those of the others."""
    for other in range(sums.shape[0]):
        if other == part:
            continue
        for n in range(first, last):
            for f in range(sums.shape[2]):
                sums[part, n, f] += sums[other, n, f]


@inner
def forwards(me, mine, weights, shared, x, slopes):  # type: ignore[no-untyped-def]
    """Make x the last features of my atoms; meetings at the barrier so far, or -1 if it was abandoned.

    The y of all atoms has to be there before my pairs convolve it, and all pairs' sums before my atoms take theirs.
    """
    n_blocks, n_tables, meetings = slopes.shape[0], weights.tables.shape[0], 0
    sums, part, first, last = shared[n_blocks + 1 :], me.part, mine.first, mine.last
    for t in range(n_blocks):
        if t > 0:
            dense(x, weights.layers, 3 * t, shared[t, first:last], False)
        if not wait(me, meetings):
            return -1
        clear(sums[part])
        convolve(mine.pairs, weights.tables[t % n_tables], shared[t], sums[part])
        if not wait(me, meetings + 1):
            return -1
        meetings += 2
        gather(sums, part, first, last)
        scale(sums[part, first:last], mine.share)
        atomwise(sums[part, first:last], t, weights, x, slopes[t])
    return meetings


@inner
def backwards(me, meetings, mine, weights, shared, x, slopes):  # type: ignore[no-untyped-def]
    """Add dE/dd of my pairs to their s from the gradient x by the last features; as :func:`forwards`."""
    n_blocks, n_tables = slopes.shape[0], weights.tables.shape[0]
    g, sums = shared[n_blocks], shared[n_blocks + 1 :]
    part, first, last = me.part, mine.first, mine.last
    for t in range(n_blocks - 1, -1, -1):
        atomwise_adjoint(x, t, weights, slopes[t], g[first:last])
        scale(g[first:last], mine.share)
        if not wait(me, meetings):
            return -1
        table = weights.tables[t % n_tables]
        if t == 0:
            convolve_slopes(mine.pairs, table, shared[t], g)
            break
        clear(sums[part])
        convolve_adjoint(mine.pairs, table, shared[t], g, sums[part])
        if not wait(me, meetings + 1):
            return -1
        meetings += 2
        gather(sums, part, first, last)
        dense_adjoint(sums[part, first:last], weights.layers, 3 * t, x, True)
    return meetings


@inner
def evaluate_part(me, structure, weights, shared, space, results):  # type: ignore[no-untyped-def]
    """What one of several threads does: a range of the pairs, and a range of the atoms.

    In common (T + 1 + n_parts, N, K) are the features before the convolutions, a gradient and each part's
    sums; space (words,) is for my pairs. Arrays are filled, not returned: numba calls Python to make them, and a
    signal whose handler raises there (Ctrl-C) is lost in a SystemError, or worse.
    """
    numbers, positions, i, j, shifts = structure
    part, n_parts, n_blocks = me.part, me.n_parts, n_blocks_of(weights)
    n_atoms, n_features, like = shared.shape[1], weights.embedding.shape[1], weights.embedding

    # My pairs: distances, unit vectors, and where each looks into the filters' tables.
    here = slice(i.shape[0] * part // n_parts, i.shape[0] * (part + 1) // n_parts)
    listed = HalfPairs(i[here], j[here], shifts[here])
    room = carve(space, here.stop - here.start, like)
    pairs, closest, shortest = geometry(positions, listed, weights, room)
    results.nearest[part, 0], results.nearest[part, 1] = here.start + closest, shortest

    # My atoms: embedding, and what the first layer makes of it.
    first, last = n_atoms * part // n_parts, n_atoms * (part + 1) // n_parts
    x = rows(last - first, n_features, like)
    slopes = rows(n_blocks * (last - first), n_features, like).reshape(n_blocks, last - first, n_features)
    look_up(weights.embedding, numbers[first:last], x)
    look_up(weights.lifted, numbers[first:last], shared[0, first:last])
    mine = Portion(pairs, shares(structure, weights, first, last), first, last)
    meetings = forwards(me, mine, weights, shared, x, slopes)
    if meetings < 0:
        return

    # Energies; from here on x is the gradient of their sum by the features.
    if results.features.shape[0] > 0:
        copy(x, results.features[first:last])
    graded = results.grades[first : last if results.grades.shape[0] > 0 else first]
    energies, summed = results.energies[first:last], results.summed[part]
    read_out(x, numbers[first:last], weights, energies, graded, summed)
    clear(pairs.s.reshape(1, pairs.s.shape[0]))
    meetings = backwards(me, meetings, mine, weights, shared, x, slopes)
    if meetings < 0:
        return

    # Forces and virial of my pairs.
    clear(results.forces[part])
    clear(results.virials[part])
    pull_together(pairs, results.forces[part], results.virials[part])
    wait(me, meetings + 1)


@jit
def evaluate(part, arrivals, turns, starts, structures, weights, shared, space, results):  # type: ignore[no-untyped-def]
    """One structure with all parts, or many, which share no atoms, that the parts take in turn.

    Space (parts, words) is for the pairs of each part of one structure. Starts are two arrays (B + 1,): where the
    atoms and the pairs of each of the B structures begin. Arrays come one by one: a tuple of them takes numba as
    long to look at as a hundredth of the step of ten atoms.
    """
    atoms, pairs = starts
    n_structures, n_blocks = atoms.shape[0] - 1, n_blocks_of(weights)
    k, common, filled = 0, shared, results
    together = shared.shape[1] > 0
    me = Member(part, shared.shape[0] - n_blocks - 1, arrivals)
    member = me if together else Member(0, 1, np.zeros(1, np.int64))
    pairs_space = space[member.part]
    while True:
        if not together:
            k = take(turns)
            if k >= n_structures:
                break
        a, b, p, q = atoms[k], atoms[k + 1], pairs[k], pairs[k + 1]
        if not together:
            own = rows((n_blocks + 2) * (b - a), weights.lifted.shape[1], weights.embedding)
            common = own.reshape(n_blocks + 2, b - a, own.shape[1])
            pairs_space = np.empty(words(q - p, weights.embedding.itemsize))
            wanted = b if results.features.shape[0] > 0 else a
            graded = b if results.grades.shape[0] > 0 else a
            filled = Results(
                results.energies[a:b],
                results.forces[0, a:b].reshape(1, b - a, 3),
                results.virials[k : k + 1],
                results.nearest[k : k + 1],
                results.features[a:wanted],
                results.grades[a:graded],
                results.summed[k : k + 1],
            )
        structure = PairedStructures(
            structures.numbers[a:b],
            structures.positions[a:b],
            structures.i[p:q],
            structures.j[p:q],
            structures.shifts[p:q],
        )
        # Called in one place only: its code is copied to wherever it is called.
        evaluate_part(member, structure, weights, common, pairs_space, filled)
        if together:
            return
    wait(me, 0)
