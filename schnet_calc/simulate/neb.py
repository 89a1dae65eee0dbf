"""Minimum energy paths: ASE's nudged elastic band, a batch per band."""

from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.mep import NEB
from ase.optimize import FIRE
from ase.utils.forcecurve import fit_images
from numpy.typing import NDArray

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.simulate.relax import watched
from schnet_calc.simulate.replicas import share_batch


@dataclass(frozen=True)
class Band:
    """Outcome of :func:`relax_band`."""

    images: list[ase.Atoms]
    """From the first end to the last, with their calculators."""
    converged: bool
    """Whether the largest force across the band fell below ``fmax``."""
    steps: int
    """Steps of the optimiser."""
    fmax: float
    """Largest force across the band at the end, eV/Å."""

    @property
    def energies(self) -> NDArray[np.float64]:
        """(images,) eV, relative to the first."""
        energies = np.array([atoms.get_potential_energy() for atoms in self.images])
        return energies - energies[0]

    @property
    def barrier(self) -> float:
        """Height of the highest image over the first, eV."""
        return float(self.energies.max())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        fitted = fit_images(self.images)
        return {
            "converged": self.converged,
            "steps": self.steps,
            "fmax_ev_ang": self.fmax,
            "barrier_ev": self.barrier,
            "reverse_barrier_ev": float(self.barrier - self.energies[-1]),
            "energies_ev": self.energies.tolist(),
            "path_ang": np.asarray(fitted.path).tolist(),
        }


def relax_band(
    first: ase.Atoms,
    last: ase.Atoms,
    calculator: SchNetCalculator,
    n_images: int = 7,
    fmax: float = 0.05,
    steps: int = 500,
    climb: bool = True,
) -> Band:
    """Find the minimum energy path between two minima.

    The band starts from an image-dependent pair potential interpolation, is relaxed to five times ``fmax``,
    and then with the highest image climbing.

    Parameters
    ----------
    first, last : Atoms
        Relaxed structures with the same atoms in the same order; not changed.
    calculator : SchNetCalculator
        For all images.
    n_images : int
        Images between the two, at least two.
    fmax : float
        Largest force across the band to end with, eV/Å.
    steps : int
        Limit on the number of steps.
    climb : bool
        Let the highest image climb to the saddle point.

    Raises
    ------
    ValueError
        The ends hold different atoms or cells or are the same, there are too few images, or ``fmax`` isn't
        positive.
    """
    if n_images < 2:
        raise ValueError(f"a band needs at least two images between its ends, got {n_images}")
    if not fmax > 0:
        raise ValueError(f"fmax must be positive, got {fmax} eV/Å")
    if not np.array_equal(first.numbers, last.numbers):
        raise ValueError(
            "the ends of a band hold the same atoms in the same order, "
            f"got {first.get_chemical_formula()} and {last.get_chemical_formula()} or another order"
        )
    if not (np.allclose(first.cell, last.cell) and (first.pbc == last.pbc).all()):
        raise ValueError("the ends of a band have the same cell and periodic directions")
    if np.allclose(first.positions, last.positions, atol=1e-6):
        raise ValueError("the ends of the band are the same structure: there is no path between them")
    images = [first.copy(), *(first.copy() for _ in range(n_images)), last.copy()]
    share_batch(images, calculator)
    band = NEB(images, method="improvedtangent", climb=False)
    band.interpolate("idpp", mic=bool(first.pbc.any()))
    with FIRE(band, logfile=None) as dynamics:
        converged = watched(dynamics, "band", 5 * fmax if climb else fmax, steps)
        if climb:
            band.climb = True
            converged = watched(dynamics, "climbing", fmax, max(steps - dynamics.nsteps, 0))
        taken = int(dynamics.nsteps)
    return Band(images, converged, taken, float(band.get_residual()))
