"""Anharmonic fundamentals by second-order vibrational perturbation theory (VPT2).

From a quartic force field in dimensionless normal coordinates q, in cm⁻¹, of which VPT2 needs the
semi-diagonal part: Hessians at steps along each mode give ``phi_ijk`` and ``phi_iijk``. Equations as in
V. Barone, J. Chem. Phys. 122, 014108 (2005); resonances are left out of the sums and put back by
diagonalising small matrices (GVPT2). In a linear molecule nothing rotates about the axis: its term is left out of
the constants (J. K. G. Watson, Mol. Phys. 19, 465 (1970)), and a bend's two components share their overtones.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import ase
import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis.symmetry import is_linear
from schnet_calc.model import Model
from schnet_calc.simulate.modes import MODE_UNIT, NormalModes
from schnet_calc.stages import in_turn

STEP = 0.08
"""Dimensionless, of the displacements along the modes."""
MOST_ATOMS = 10
NEAR = 250.0
"""cm⁻¹ within which two states may be in resonance; wider windows change nothing where the share decides."""
STRONG = 1.0
"""cm⁻¹: the share of a resonance in the fourth order (Martin's test) from which on it is treated apart."""
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class QuarticField:
    """Force constants in dimensionless normal coordinates, cm⁻¹."""

    omega: FloatArray
    """(M,) harmonic wavenumbers."""
    cubic: FloatArray
    """(M, M, M)"""
    quartic: FloatArray
    """(M, M, M) entry i, j, k is the derivative by q_i twice, q_j and q_k."""
    coriolis: FloatArray
    """(3, M, M) coupling constants zeta about the principal axes."""
    rotational: FloatArray
    """(3,) rotational constants; zero about the axis of a linear molecule."""
    bends: tuple[tuple[int, int], ...] = ()
    """The two components of each bend of a linear molecule."""


@dataclass(frozen=True)
class Anharmonic:
    """Outcome of :func:`vpt2`."""

    harmonic: FloatArray
    """(M,) cm⁻¹"""
    fundamentals: FloatArray
    """(M,) cm⁻¹, of the states that are mostly fundamentals."""
    overtones: FloatArray
    """(M,) cm⁻¹, first overtones before resonances."""
    constants: FloatArray
    """(M, M) anharmonic constants x_ij, cm⁻¹, without resonances."""
    zero_point: float
    """cm⁻¹, without the small constant term."""
    resonances: list[str]
    """What was treated apart: ``"6 ~ 2 + 4"``, counted from one in ascending order."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "harmonic_cm1": self.harmonic.tolist(),
            "fundamentals_cm1": self.fundamentals.tolist(),
            "overtones_cm1": self.overtones.tolist(),
            "anharmonic_constants_cm1": self.constants.tolist(),
            "resonances": self.resonances,
        }


def quartic_field(modes: NormalModes, model: Model, step: float = STEP) -> QuarticField:
    """Take the semi-diagonal quartic force field from Hessians along the modes.

    Parameters
    ----------
    modes : NormalModes
        Of a minimum.
    model : Model
        Whose Hessians are taken.
    step : float
        Dimensionless.

    Raises
    ------
    ValueError
        Too many atoms, or imaginary modes.
    """
    n_atoms, omega = len(modes.atoms), modes.frequencies
    if n_atoms > MOST_ATOMS:
        raise ValueError(f"VPT2 is for molecules of up to {MOST_ATOMS} atoms, got {n_atoms}")
    if modes.n_imaginary:
        raise ValueError(f"VPT2 needs a minimum, and {modes.n_imaginary} modes are imaginary")
    modes, bends = _along_axes(modes)
    # Å per unit of q: Q = q MODE_UNIT / sqrt(energy of the quantum), and the modes are dx/dQ.
    scales = MODE_UNIT / np.sqrt(omega * units.invcm)
    vectors = (modes.modes * scales[:, None, None]).reshape(len(omega), -1)
    second = partial(_hessian_along, vectors, modes.atoms, model)
    here = second(np.zeros(3 * n_atoms))
    ahead, behind = np.stack(
        [(second(step * v), second(-step * v)) for v in in_turn("anharmonic force field", vectors)], axis=1
    )
    cubic = (ahead - behind) / (2.0 * step)
    # The derivative by i, j, k is found three times: by steps along each of them.
    cubic = (cubic + cubic.transpose(1, 0, 2) + cubic.transpose(2, 1, 0)) / 3.0
    quartic = (ahead + behind - 2.0 * here) / step**2
    return QuarticField(omega, cubic, quartic, *_rotation(modes), bends)


def _hessian_along(vectors: FloatArray, atoms: ase.Atoms, model: Model, shift: FloatArray) -> FloatArray:
    """Second derivatives (M, M) by steps along vectors (M, 3N), cm⁻¹, at atoms shifted by (3N,) Å."""
    moved = atoms.copy()
    moved.positions += shift.reshape(-1, 3)
    return np.asarray(vectors @ model.hessian(moved) @ vectors.T / units.invcm)


def _along_axes(modes: NormalModes) -> tuple[NormalModes, tuple[tuple[int, int], ...]]:
    """Turn the components of a linear molecule's bends so that all move along the same two axes."""
    if not is_linear(modes.atoms):
        return modes, ()
    _, _, axes = np.linalg.svd(modes.atoms.positions - modes.atoms.positions.mean(axis=0))
    vectors, bends = modes.modes.copy(), []
    along = np.abs(modes.modes @ axes[0]).max(axis=1) / np.abs(modes.modes).max(axis=(1, 2))
    bending = np.flatnonzero(along < 0.1).tolist()
    for a, b in zip(bending[::2], bending[1::2], strict=True):
        moves = int(np.linalg.norm(vectors[a], axis=1).argmax())
        angle = np.arctan2(vectors[a, moves] @ axes[2], vectors[a, moves] @ axes[1])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        # The second may be the mirror image of the first turned by a right angle: then its own sign is turned, too.
        if vectors[a, moves] @ axes[1] * (vectors[b, moves] @ axes[2]) < (
            vectors[a, moves] @ axes[2] * (vectors[b, moves] @ axes[1])
        ):
            vectors[b] *= -1.0
        vectors[[a, b]] = np.tensordot(turn, vectors[[a, b]], 1)
        bends.append((a, b))
    return replace(modes, modes=vectors), tuple(bends)


def _rotation(modes: NormalModes) -> tuple[FloatArray, FloatArray]:
    """Coriolis constants (3, M, M) and rotational constants (3,), cm⁻¹, in principal axes."""
    moments, axes = modes.atoms.get_moments_of_inertia(vectors=True)
    weighted = modes.modes * np.sqrt(modes.atoms.get_masses())[:, None] @ np.asarray(axes).T
    zeta = np.cross(weighted[:, None], weighted[None, :]).sum(axis=2)
    # hbar² / 2I: MODE_UNIT² is hbar² in eV² Å² amu / eV.
    constants = np.zeros(3)
    turning = np.full(3, True)
    turning[int(np.argmin(moments))] = not is_linear(modes.atoms)
    constants[turning] = 0.5 * MODE_UNIT**2 / moments[turning] / units.invcm
    return np.moveaxis(zeta, -1, 0), constants


def vpt2(field: QuarticField) -> Anharmonic:
    """Return anharmonic fundamentals of a quartic force field."""
    resonant = _resonances(field)
    x = _constants(field, resonant)
    omega, m = field.omega, len(field.omega)
    others = x.sum(axis=1) - np.diag(x)
    fundamentals = omega + 2 * np.diag(x) + 0.5 * others
    overtones = 2 * omega + 6 * np.diag(x) + others
    mixed = fundamentals.copy()
    if resonant:
        mixed = _diagonalised(field, x, fundamentals, overtones, resonant)
    names = [f"{k + 1} ~ {i + 1} + {j + 1}" for k, i, j in sorted(resonant)]
    zero = float(0.5 * omega.sum() + 0.25 * sum(x[i, j] for i in range(m) for j in range(i + 1)))
    return Anharmonic(omega, mixed, overtones, x, zero, names)


def _resonances(field: QuarticField) -> set[tuple[int, int, int]]:
    """Fermi resonances (k, i, j): fundamental k near the overtone or combination of i and j, i <= j."""
    omega, found = field.omega, set()
    for k in range(len(omega)):
        for i in range(len(omega)):
            for j in range(i, len(omega)):
                if k in (i, j):
                    continue
                gap = abs(omega[i] + omega[j] - omega[k])
                share = field.cubic[i, j, k] ** 4 / ((256.0 if i == j else 64.0) * max(gap, 1e-3) ** 3)
                if gap < NEAR and share > STRONG:
                    found.add((k, i, j))
    return found


def _constants(field: QuarticField, resonant: set[tuple[int, int, int]]) -> FloatArray:
    """Anharmonic constants x_ij (M, M), cm⁻¹, without the terms of resonances."""
    w, c, m = field.omega, field.cubic, len(field.omega)
    x = np.zeros((m, m))
    for i in range(m):
        x[i, i] = field.quartic[i, i, i] / 16.0
        for k in range(m):
            # (8 w_i² - 3 w_k²) / (w_k (4 w_i² - w_k²)) in parts, so that one can be left out.
            term = 2.0 / w[k] + 0.5 / (2.0 * w[i] + w[k])
            if (k, i, i) not in resonant:
                term -= 0.5 / (2.0 * w[i] - w[k])
            x[i, i] -= c[i, i, k] ** 2 * term / 16.0
    for i, j in combinations(range(m), 2):
        value = 0.5 * (field.quartic[i, j, j] + field.quartic[j, i, i])
        for k in range(m):
            value -= c[i, i, k] * c[j, j, k] / w[k]
            value += 2.0 * c[i, j, k] ** 2 * 0.5 * _combination(w, i, j, k, resonant)
        rotation = (field.rotational * field.coriolis[:, i, j] ** 2).sum()
        x[i, j] = x[j, i] = value / 4.0 + rotation * (w[i] / w[j] + w[j] / w[i])
    return x


def _combination(w: FloatArray, i: int, j: int, k: int, resonant: set[tuple[int, int, int]]) -> float:
    """2 w_k (w_i² + w_j² - w_k²) over the product of the four sums, in parts, without resonances."""
    total, gap = w[i] + w[j], w[i] - w[j]
    value = -1.0 / (total + w[k])
    if (k, *sorted((i, j))) not in resonant:
        value += 1.0 / (total - w[k])
    # w_i against w_j + w_k, and w_j against w_i + w_k.
    if (i, *sorted((j, k))) not in resonant:
        value += 1.0 / (gap - w[k])
    if (j, *sorted((i, k))) not in resonant:
        value -= 1.0 / (gap + w[k])
    return 0.5 * float(value)


def _diagonalised(
    field: QuarticField,
    x: FloatArray,
    fundamentals: FloatArray,
    overtones: FloatArray,
    resonant: set[tuple[int, int, int]],
) -> FloatArray:
    """Fundamentals after their resonances with overtones and combinations."""
    m = len(fundamentals)
    pairs = sorted({(i, j) for _, i, j in resonant})
    matrix = np.diag(np.concatenate([fundamentals, np.zeros(len(pairs))]))
    for n, (i, j) in enumerate(pairs):
        matrix[m + n, m + n] = overtones[i]
        if i != j:
            matrix[m + n, m + n] = fundamentals[i] + fundamentals[j] + x[i, j]
        for k in range(m):
            if (k, i, j) in resonant:
                coupling = field.cubic[i, i, k] / 4.0 if i == j else field.cubic[i, j, k] / np.sqrt(8.0)
                matrix[k, m + n] = matrix[m + n, k] = coupling
    for a, b in field.bends:
        # Overtones of a bend's components meet in those with and without angular momentum.
        if (a, a) in pairs and (b, b) in pairs:
            n, o = m + pairs.index((a, a)), m + pairs.index((b, b))
            matrix[n, o] = matrix[o, n] = overtones[a] - fundamentals[a] - fundamentals[b] - x[a, b]
    values, vectors = np.linalg.eigh(matrix)
    mixed = fundamentals.copy()
    for k in {k for k, _, _ in resonant}:
        mixed[k] = values[int(np.argmax(vectors[k] ** 2))]
    return mixed
