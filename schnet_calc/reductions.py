"""How a property of a structure arises from numbers of its atoms: one class for each way.

Adding a way is one class, here or in a program of one's own, under :func:`reduction`; labels, heads, losses,
outputs and tables ask it for all they need. The arithmetic is written for NumPy arrays and torch tensors alike.

>>> from schnet_calc.reductions import REDUCTIONS
>>> sorted(REDUCTIONS)
['charges', 'extent', 'mean', 'sum']
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = Any
"""A NumPy array or a torch tensor."""
FloatArray = NDArray[np.float64]


class AtomGroups(Protocol):
    """N atoms of B structures; a training batch is one, :class:`NumpyGroups` another."""

    @property
    def positions(self) -> Array:
        """(N, 3) Å."""

    @property
    def masses(self) -> Array:
        """(N,) amu."""

    @property
    def system(self) -> Array:
        """(N,) index of each atom's structure."""

    @property
    def counts(self) -> Array:
        """(B,) numbers of atoms."""

    def sums(self, atomic: Array) -> Array:
        """Add up (N, ...) numbers of atoms to (B, ...) of structures."""


@dataclass(frozen=True)
class NumpyGroups:
    """N atoms of B structures as arrays."""

    positions: FloatArray
    """(N, 3) Å"""
    masses: FloatArray
    """(N,) amu"""
    counts: NDArray[np.int64]
    """(B,) atoms of each structure, one after the other"""

    @property
    def system(self) -> NDArray[np.int64]:
        """(N,) index of each atom's structure."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def sums(self, atomic: FloatArray) -> FloatArray:
        """Add up (N, ...) numbers of atoms to (B, ...) of structures."""
        return np.asarray(np.add.reduceat(atomic, np.cumsum(self.counts) - self.counts))


class Reduction:
    """A way from numbers of atoms to a property of their structure; this one adds them up.

    Subclasses override what is different.
    """

    name: ClassVar[str] = "sum"
    """In model files, ``[model]`` tables and ``--scalars``."""
    shape: ClassVar[tuple[int, ...]] = ()
    """Of the property."""
    unit: ClassVar[str] = ""
    """Of the property, where the way decides it."""
    local: ClassVar[bool] = True
    """Whether every atom's number counts by itself, wherever the atom is."""
    weight: ClassVar[str] = "scalar_weight"
    """The setting of a training that weighs its loss."""
    relative: ClassVar[bool] = True
    """Whether that loss is in units of the labels' variance."""
    atomic_name: ClassVar[str] = ""
    """Name of the atoms' parts among ASE's results, if they have one."""

    def share(self, n_atoms: Array) -> Array:
        """Return what each atom's number counts for in structures of (B,) atoms."""
        return 1.0 + 0.0 * n_atoms

    def parts(self, values: Array, atoms: AtomGroups) -> Array:
        """Return (N,) what each atom adds, from the numbers (N,) that a head gives."""
        return values

    def reduce(self, parts: Array, atoms: AtomGroups) -> Array:
        """Return (B, ...) properties, in their unit, from what the atoms add."""
        return atoms.sums(parts)

    def values(self, name: str, value: Array) -> dict[str, Array]:
        """Return all that can be labelled of a property (..., *shape), in its unit, by name."""
        return {name: value}

    def scaling(self, labels: FloatArray, ones: FloatArray) -> tuple[float, float]:
        """Return shift and scale of a head, so that its network has to say numbers of order one.

        Parameters
        ----------
        labels : array
            (M, ...), not numbers where a structure has no label.
        ones : array
            (M, ...), the property of each structure if all its atoms had the number one.
        """
        each = labels / ones
        return float(np.nanmean(each)), float(np.nanstd(each)) or 1.0

    def baseline(self, counts: FloatArray, labels: FloatArray, others: FloatArray) -> FloatArray:
        """Guess the property from the composition alone, by least squares; lengths of vectors by their mean.

        Parameters
        ----------
        counts : array
            (M, Z) atoms of each element in the structures that are known.
        labels : array
            (M, ...) of these, in the unit of the property.
        others : array
            (M', Z) of the structures that are guessed.

        Returns
        -------
        array
            (M',).
        """
        share, other = self.share(counts.sum(axis=1)), self.share(others.sum(axis=1))
        solution = np.linalg.lstsq(counts, labels / share, rcond=None)[0]
        return np.asarray(others @ solution * other)


Kind = TypeVar("Kind", bound=type[Reduction])
REDUCTIONS: dict[str, Reduction] = {}
"""All ways by name."""


def reduction(kind: Kind) -> Kind:
    """Register the decorated :class:`Reduction` under its name.

    Raises
    ------
    ValueError
        Another one has that name.
    """
    taken = REDUCTIONS.get(kind.name)
    if taken is not None and type(taken).__qualname__ != kind.__qualname__:
        raise ValueError(f"the reduction {kind.name!r} belongs to {type(taken).__qualname__}")
    REDUCTIONS[kind.name] = kind()
    return kind


reduction(Reduction)


@reduction
class Mean(Reduction):
    """The average over the atoms, for intensive properties (thesis Section 4.4.1)."""

    name = "mean"

    def share(self, n_atoms: Array) -> Array:
        """Return one over the numbers of atoms (B,)."""
        return 1.0 / n_atoms

    def parts(self, values: Array, atoms: AtomGroups) -> Array:
        """Return (N,) numbers over the number of atoms in their structure."""
        return values / atoms.counts[atoms.system]


@reduction
class Charges(Reduction):
    """The dipole of latent charges, ``mu = sum_i q_i (r_i - r_mean)``, e·Å (thesis Section 4.4.1).

    The charges are shifted to add up to zero, so that the dipole does not depend on the origin.
    """

    name = "charges"
    shape = (3,)
    unit = "eAng"
    local = False
    weight = "dipole_weight"
    relative = False
    atomic_name = "charges"

    def parts(self, values: Array, atoms: AtomGroups) -> Array:
        """Return (N,) charges in units of e."""
        return values - (atoms.sums(values) / atoms.counts)[atoms.system]

    def reduce(self, parts: Array, atoms: AtomGroups) -> Array:
        """Return (B, 3) dipoles, e·Å."""
        centres = atoms.sums(atoms.positions) / atoms.counts[:, None]
        return atoms.sums(parts[:, None] * (atoms.positions - centres[atoms.system]))

    def values(self, name: str, value: Array) -> dict[str, Array]:
        """Return the dipole (..., 3), e·Å, and its length for labels that are no more, its gradient is finite."""
        return {name: value, f"{name}_length": ((value + 1e-12) ** 2).sum(-1) ** 0.5}

    def scaling(self, labels: FloatArray, ones: FloatArray) -> tuple[float, float]:
        """Return 0 and 1 whatever the labels (M, 3), e·Å: charges are of order one already."""
        return 0.0, 1.0

    def baseline(self, counts: FloatArray, labels: FloatArray, others: FloatArray) -> FloatArray:
        """Return the mean length (M',), e·Å, for all; see :meth:`Reduction.baseline`."""
        sizes = np.linalg.norm(labels, axis=1) if labels.ndim > 1 else labels
        return np.full(len(others), sizes.mean())


@reduction
class Extent(Reduction):
    """The second moment of charges about the centre of mass, ``sum_i q_i |r_i - r_mass|²``, such as <R²>."""

    name = "extent"
    local = False

    def parts(self, values: Array, atoms: AtomGroups) -> Array:
        """Return (N,) charges times squared distances from the centre of mass, Å²."""
        masses = atoms.masses[:, None]
        centres = atoms.sums(masses * atoms.positions) / atoms.sums(masses)
        return values * ((atoms.positions - centres[atoms.system]) ** 2).sum(1)

    def scaling(self, labels: FloatArray, ones: FloatArray) -> tuple[float, float]:
        """Return the charge, e, of atoms that are all alike from labels (M,), twice."""
        known = np.isfinite(labels)
        charge = float(labels[known].sum() / max(ones[known].sum(), 1e-12))
        return charge, charge
