"""Derivatives by differences of what one batch says."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from schnet_calc.structures.structure import Structure

if TYPE_CHECKING:
    from schnet_calc.engine.base import Engine
    from schnet_calc.engine.committee import Committee

DISPLACEMENT = 5e-4
"""Å, of the atoms; small, since the force of a pair has a kink at the cutoff."""
STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
"""Steps, and their weights in a first derivative of fourth order."""


def displaced(structure: Structure, displacement: float = DISPLACEMENT) -> list[Structure]:
    """Return the 12N structures whose differences are first derivatives by all coordinates."""
    found = []
    for k in range(structure.positions.size):
        for step, _ in STENCIL:
            positions = structure.positions.copy()
            positions.flat[k] += step * displacement
            found.append(structure._replace(positions=positions))
    return found


def derivatives(values: NDArray[np.float64], displacement: float = DISPLACEMENT) -> NDArray[np.float64]:
    """Return (3N, ...) derivatives by all coordinates, per Å, of (12N, ...) values at displaced structures."""
    weights = np.array([weight for _, weight in STENCIL]) / displacement
    return np.asarray(
        np.einsum("s,ks...->k...", weights, values.reshape(-1, len(STENCIL), *values.shape[1:]))
    )


def hessian_by_differences(engine: "Engine", structure: Structure) -> NDArray[np.float64]:
    """Return (3N, 3N) second derivatives of the energy, eV/Å²; precise in float64.

    Differences of fourth order of the exact forces, all displaced structures in one batch.
    """
    forces = np.stack([p.forces.ravel() for p in engine.evaluate(displaced(structure), heads=[])])
    return -derivatives(forces)


def output_derivatives(
    engine: "Engine | Committee", structure: Structure, name: str
) -> NDArray[np.float64]:
    """Return (3N, ...) derivatives of a further output by all coordinates, in its unit per Å.

    Parameters
    ----------
    engine : Engine or Committee
        In float64.
    structure : Structure
        Where.
    name : str
        Of the output.
    """
    found = engine.evaluate(displaced(structure), heads=[name])
    return derivatives(np.stack([np.asarray(p.outputs[name]) for p in found]))
