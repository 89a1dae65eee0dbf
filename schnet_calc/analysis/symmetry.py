"""Point groups of molecules, and with them the symmetry numbers of their rotations.

Atoms of the same element, mass and distance from the centre of mass can be exchanged. An operation is known from
where it takes two atoms that don't lie on a line with the centre: each pair of places that they may go to is tried,
and kept if all other atoms come to lie on atoms of their kind.
"""

from typing import NamedTuple

import ase
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
TOLERANCE = 0.02
"""Å by which an operation may miss an atom: more than relaxations leave, less than real differences."""
LINEAR = 1e-3
"""Å; a molecule whose atoms all lie this close to a line counts as linear."""
LOOSE = 3.0
"""Times the tolerance: how far off the first guess of an operation, from two atoms, may be before it is fitted."""


class PointGroup(NamedTuple):
    """Outcome of :func:`point_group`."""

    name: str
    """Schoenflies symbol, such as ``C2v``, ``D*h`` (linear, with a centre) or ``Ih``."""
    rotations: int
    """Symmetry number: proper rotations that leave the molecule as it is, its own place among them."""
    linear: bool
    """Whether all atoms lie on a line."""
    deviation: float
    """Å; largest distance between an atom and where an operation puts its like."""


class _Operation(NamedTuple):
    matrix: FloatArray
    """(3, 3) orthogonal; determinant 1 or -1."""
    permutation: tuple[int, ...]
    deviation: float

    @property
    def proper(self) -> bool:
        return bool(np.linalg.det(self.matrix) > 0)

    @property
    def key(self) -> tuple[bool, tuple[int, ...]]:
        """What tells operations apart: in a planar molecule a mirror may move no atom."""
        return self.proper, self.permutation


def point_group(atoms: ase.Atoms, tolerance: float = TOLERANCE) -> PointGroup:
    """Find the point group of a molecule; isotopes count.

    Parameters
    ----------
    atoms : Atoms
        A molecule, relaxed.
    tolerance : float
        Å by which an operation may miss an atom.

    Raises
    ------
    ValueError
        A periodic structure, or none at all.
    """
    if atoms.pbc.any() or not len(atoms):
        raise ValueError(
            f"a point group needs a molecule, got {len(atoms)} atoms with pbc {atoms.pbc.tolist()}"
        )
    if len(atoms) == 1:
        return PointGroup("Kh", 1, False, 0.0)
    arms = atoms.positions - atoms.get_center_of_mass()
    kinds = _kinds(atoms)
    if is_linear(atoms):
        centre = _assigned(-np.eye(3), cKDTree(arms), kinds, tolerance)
        if centre is None:
            return PointGroup("C*v", 1, True, 0.0)
        return PointGroup("D*h", 2, True, centre.deviation)
    found = _operations(arms, kinds, tolerance)
    while not _closed(found):  # at the edge of the tolerance some of a group may be missing
        found = _operations(arms, kinds, 0.999 * max(o.deviation for o in found))
    rotations = [o.matrix for o in found if o.proper]
    others = [o.matrix for o in found if not o.proper]
    return PointGroup(_symbol(rotations, others), len(rotations), False, max(o.deviation for o in found))


def is_linear(atoms: ase.Atoms) -> bool:
    """Whether there are two or more atoms, all within :data:`LINEAR` of a line."""
    if len(atoms) < 2:
        return False
    spreads = np.linalg.svd(atoms.positions - atoms.positions.mean(axis=0), compute_uv=False)
    return bool(spreads[1] < LINEAR)


def _kinds(atoms: ase.Atoms) -> NDArray[np.int64]:
    """A number (N,) for each element and mass."""
    both = np.column_stack([atoms.numbers, atoms.get_masses().round(4)])
    return np.asarray(np.unique(both, axis=0, return_inverse=True)[1]).ravel()


def _operations(arms: FloatArray, kinds: NDArray[np.int64], tolerance: float) -> list[_Operation]:
    """All rotations and improper rotations that leave the molecule as it is."""
    a, b = _two_atoms(arms, kinds)
    lengths, loose = np.linalg.norm(arms, axis=1), LOOSE * tolerance
    like = [np.flatnonzero((kinds == kinds[k]) & (np.abs(lengths - lengths[k]) < loose)) for k in (a, b)]
    first, second = (x.ravel() for x in np.meshgrid(*like, indexing="ij"))
    apart = np.linalg.norm(arms[first] - arms[second], axis=1)
    fits = np.abs(apart - np.linalg.norm(arms[a] - arms[b])) < loose
    here, tree = _frame(arms[a], arms[b]), cKDTree(arms)
    found: dict[tuple[bool, tuple[int, ...]], _Operation] = {}
    for i, j in zip(first[fits], second[fits], strict=True):
        there = _frame(arms[i], arms[j])
        for sign in (1.0, -1.0):
            operation = _assigned(there.T @ np.diag([1.0, 1.0, sign]) @ here, tree, kinds, tolerance)
            if operation is not None:
                found.setdefault(operation.key, operation)
    return list(found.values())


def _two_atoms(arms: FloatArray, kinds: NDArray[np.int64]) -> tuple[int, int]:
    """Two atoms that span a plane with the centre, chosen so that few others are like them."""
    lengths = np.linalg.norm(arms, axis=1)
    areas = np.linalg.norm(np.cross(arms[:, None], arms[None]), axis=2)
    like = ((kinds[:, None] == kinds) & (np.abs(lengths[:, None] - lengths) < 0.1)).sum(axis=1)
    cost = np.where(areas > 0.5 * areas.max(), like[:, None] * like[None], np.inf)
    a, b = np.unravel_index(int(cost.argmin()), cost.shape)
    return int(a), int(b)


def _frame(a: FloatArray, b: FloatArray) -> FloatArray:
    """Orthonormal axes (3, 3), in rows, of two vectors; both count alike."""
    total, gap = (
        a / np.linalg.norm(a) + b / np.linalg.norm(b),
        a / np.linalg.norm(a) - b / np.linalg.norm(b),
    )
    x, y = total / np.linalg.norm(total), gap / np.linalg.norm(gap)
    return np.array([x, y, np.cross(x, y)])


def _assigned(
    guess: FloatArray, tree: cKDTree, kinds: NDArray[np.int64], tolerance: float
) -> _Operation | None:
    """The operation near a guess that fits all atoms best, None if it misses one."""
    arms = np.asarray(tree.data)
    distances, places = tree.query(arms @ guess.T)
    if distances.max() > LOOSE * tolerance or len(set(places.tolist())) < len(arms):
        return None
    if (kinds[places] != kinds).any():
        return None
    u, _, vt = np.linalg.svd(arms[places].T @ arms)
    fitted = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt) * np.linalg.det(guess))]) @ vt
    deviation = float(np.linalg.norm(arms @ fitted.T - arms[places], axis=1).max())
    return _Operation(fitted, tuple(places.tolist()), deviation) if deviation <= tolerance else None


def _closed(operations: list[_Operation]) -> bool:
    """Whether one operation after another is always one of them."""
    signs = np.array([o.proper for o in operations])
    orders = np.array([o.permutation for o in operations])
    keys = {(o.proper, np.array(o.permutation).tobytes()) for o in operations}
    for sign, order in zip(signs, orders, strict=True):
        products = zip(signs == sign, order[orders], strict=True)
        if any((bool(proper), product.tobytes()) not in keys for proper, product in products):
            return False
    return True


def _order(rotation: FloatArray) -> int:
    """How often a rotation has to be made to be none."""
    angle = np.arccos(np.clip(0.5 * (np.trace(rotation) - 1.0), -1.0, 1.0))
    turns = angle / (2.0 * np.pi)
    return (
        1 if turns < 1e-3 else next(n for n in range(2, 1000) if abs(n * turns - round(n * turns)) < 1e-2)
    )


def _axis(rotation: FloatArray) -> FloatArray:
    """The axis (3,) of a rotation."""
    values, vectors = np.linalg.eig(rotation)
    return np.real(vectors[:, int(np.abs(values - 1.0).argmin())])


def _symbol(rotations: list[FloatArray], others: list[FloatArray]) -> str:
    """Schoenflies symbol from the proper and the improper rotations of a molecule that isn't linear."""
    orders = [_order(r) for r in rotations]
    n, count = max(orders), len(rotations)
    mirrors = [_axis(-m) for m in others if abs(np.trace(m) - 1.0) < 0.1]
    inversion = any(np.trace(m) < -2.9 for m in others)
    cubic = {(12, 3): "T", (24, 4): "O", (60, 5): "I"}.get((count, n))
    if cubic is not None:
        return cubic + ("" if not others else "h" if inversion or cubic != "T" else "d")
    axes = [_axis(r) for r, order in zip(rotations, orders, strict=True) if order == n > 1]
    across = any(abs(m @ a) > 0.99 for m in mirrors for a in axes)
    if count == 2 * n:
        return f"D{n}" + ("" if not others else "h" if across else "d")
    if n == 1:
        return "Cs" if mirrors else "Ci" if inversion else "C1"
    if not others:
        return f"C{n}"
    return f"C{n}h" if across else f"C{n}v" if mirrors else f"S{2 * n}"
