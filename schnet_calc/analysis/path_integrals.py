"""Estimators of path-integral simulations, with statistical errors from blocks of time."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis.averages import (
    FEWEST,
    N_BLOCKS,
    Estimate,
    blocks_of,
    independent_values,
    mean_with_error,
)

FloatArray = NDArray[np.float64]


class PathIntegralEstimators(NamedTuple):
    """Averages over a path-integral trajectory in the canonical ensemble, 3N degrees of freedom."""

    kinetic_virial: Estimate
    """eV: centroid virial estimator."""
    kinetic_thermodynamic: Estimate
    """eV: primitive (Barker) estimator; noisier, the same mean."""
    potential: Estimate
    """eV"""
    energy: Estimate
    """eV: centroid virial kinetic energy and potential."""
    heat_capacity: Estimate
    """k_B: constant volume, from the covariance of the two estimators of the energy."""
    radius_of_gyration: Estimate
    """Å: of the ring polymers, averaged over atoms."""
    temperature: Estimate
    """K: of the beads' momenta; says how well the thermostat works, not what the quantum system has."""

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Plain values for JSON."""
        return {
            name: {"value": estimate.value, "error": estimate.error}
            for name, estimate in self._asdict().items()
        }


def path_integral_estimators(
    table: Mapping[str, FloatArray], n_atoms: int, temperature: float, n_blocks: int = N_BLOCKS
) -> PathIntegralEstimators:
    """Estimators from the properties that i-PI wrote.

    Parameters
    ----------
    table : mapping
        Columns (M,): ``potential``, ``kinetic_cv`` and ``kinetic_td`` in eV, ``r_gyration`` in Å,
        ``temperature`` in K; after equilibration.
    n_atoms : int
        N; all its 3N degrees of freedom are free.
    temperature : float
        K, of the ensemble.
    n_blocks : int
        Blocks of the heat capacity's error.
    """
    virial = table["kinetic_cv"] + table["potential"]
    primitive = table["kinetic_td"] + table["potential"]
    return PathIntegralEstimators(
        kinetic_virial=mean_with_error(table["kinetic_cv"]),
        kinetic_thermodynamic=mean_with_error(table["kinetic_td"]),
        potential=mean_with_error(table["potential"]),
        energy=mean_with_error(virial),
        heat_capacity=heat_capacity(virial, primitive, n_atoms, temperature, n_blocks),
        radius_of_gyration=mean_with_error(table["r_gyration"]),
        temperature=mean_with_error(table["temperature"]),
    )


def heat_capacity(
    virial: FloatArray,
    primitive: FloatArray,
    n_atoms: int,
    temperature: float,
    n_blocks: int = N_BLOCKS,
) -> Estimate:
    r"""Heat capacity at constant volume, k_B, with a jackknife error.

    The mean of the centroid virial estimator is the energy; its derivative with respect to
    temperature is, at a fixed number of beads,

    .. math:: C_V / k_B = \beta^2 \mathrm{cov}(E_\mathrm{virial}, E_\mathrm{primitive}) + 3N/2,

    since minus the logarithmic derivative of the ring polymer's weight with respect to beta is the
    primitive estimator, and 3N/(2 beta) is the only part of the virial one that depends on beta.
    Nothing but the two series is needed, so i-PI makes no extra force evaluations.

    Parameters
    ----------
    virial, primitive : array
        (M,) eV: both estimators of the total energy, step by step.
    n_atoms : int
        N.
    temperature : float
        K.
    n_blocks : int
        Of the jackknife.
    """
    beta = 1.0 / (units.kB * temperature)

    def capacity(a: FloatArray, b: FloatArray) -> float:
        return float(beta**2 * np.mean((a - a.mean()) * (b - b.mean())) + 1.5 * n_atoms)

    blocks = list(zip(blocks_of(virial, n_blocks), blocks_of(primitive, n_blocks), strict=True))
    without = np.array([capacity(*_all_but(blocks, k)) for k in range(n_blocks)])
    error = np.sqrt((n_blocks - 1) * np.mean((without - without.mean()) ** 2))
    count = min(independent_values(virial), independent_values(primitive))
    return Estimate(capacity(virial, primitive), float(error) if count >= FEWEST else np.nan, count)


def harmonic_energy(frequency: float, temperature: float, beads: int) -> float:
    """Energy of a harmonic oscillator in the primitive approximation with P beads, eV.

    Exact for any P; twice the mean potential energy of the ring polymer's normal modes.

    Parameters
    ----------
    frequency : float
        ħω, eV.
    temperature : float
        K.
    beads : int
        P.
    """
    beta = 1.0 / (units.kB * temperature)
    springs = 2.0 * beads / beta * np.sin(np.pi * np.arange(beads) / beads)
    return float((frequency**2 / (frequency**2 + springs**2)).sum() / beta)


def _all_but(blocks: list[Any], k: int) -> tuple[FloatArray, FloatArray]:
    kept = blocks[:k] + blocks[k + 1 :]
    return np.concatenate([a for a, _ in kept]), np.concatenate([b for _, b in kept])
