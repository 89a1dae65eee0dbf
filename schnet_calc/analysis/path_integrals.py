"""Estimators of path-integral simulations, with statistical errors from blocks of time."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis.averages import (
    FEWEST,
    N_BLOCKS,
    Estimate,
    blocks_of,
    independent_values,
    mean_of_independent,
)

FloatArray = NDArray[np.float64]
MANY = 8
"""Replicas from which on their scatter says what the error is; it is itself uncertain by a fourth then."""


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

    def described(self) -> dict[str, str]:
        """Return what tables say of them."""
        return {
            "kinetic energy, centroid virial": f"{self.kinetic_virial} eV",
            "kinetic energy, thermodynamic": f"{self.kinetic_thermodynamic} eV",
            "heat capacity": f"{self.heat_capacity} k_B",
            "radius of gyration": f"{self.radius_of_gyration} Å",
            "temperature of the beads": f"{self.temperature} K",
        }

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Plain values for JSON."""
        return {
            name: {"value": estimate.value, "error": estimate.error}
            for name, estimate in self._asdict().items()
        }


def path_integral_estimators(
    tables: Sequence[Mapping[str, FloatArray]] | Mapping[str, FloatArray], n_atoms: int, temperature: float
) -> PathIntegralEstimators:
    """Estimators from the properties that i-PI wrote, or those of replicas.

    Errors are from the scatter of replicas, where there are :data:`MANY` of them, else from autocorrelation times.

    Parameters
    ----------
    tables : mapping, or a sequence of them
        Columns (M,): ``potential``, ``kinetic_cv`` and ``kinetic_td`` in eV, ``r_gyration`` in Å,
        ``temperature`` in K; after equilibration. One for each replica.
    n_atoms : int
        N; all its 3N degrees of freedom are free.
    temperature : float
        K, of the ensemble.
    """
    several = [tables] if isinstance(tables, Mapping) else list(tables)
    virial = [table["kinetic_cv"] + table["potential"] for table in several]
    primitive = [table["kinetic_td"] + table["potential"] for table in several]
    columns = ("kinetic_cv", "kinetic_td", "potential", "r_gyration", "temperature")
    mean = {name: mean_of_replicas([table[name] for table in several]) for name in columns}
    return PathIntegralEstimators(
        kinetic_virial=mean["kinetic_cv"],
        kinetic_thermodynamic=mean["kinetic_td"],
        potential=mean["potential"],
        energy=mean_of_replicas(virial),
        heat_capacity=heat_capacity(virial, primitive, n_atoms, temperature),
        radius_of_gyration=mean["r_gyration"],
        temperature=mean["temperature"],
    )


def mean_of_replicas(series: Sequence[FloatArray]) -> Estimate:
    """Return the mean of series (M,) of independent replicas, and its error, in their units."""
    if len(series) >= MANY:
        return mean_of_independent(np.array([values.mean() for values in series]))
    values, count = np.concatenate(series), sum(independent_values(x) for x in series)
    error = float(np.sqrt(values.var() / (count - 1.0))) if count >= FEWEST else np.nan
    return Estimate(float(values.mean()), error, count)


def heat_capacity(
    virial: Sequence[FloatArray], primitive: Sequence[FloatArray], n_atoms: int, temperature: float
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
    virial, primitive : sequence of arrays
        (M,) eV of each replica: both estimators of the total energy, step by step.
    n_atoms : int
        N.
    temperature : float
        K.
    """
    beta, each = 1.0 / (units.kB * temperature), -(-N_BLOCKS // len(virial))
    a, b = ([part for x in series for part in blocks_of(x, each)] for series in (virial, primitive))
    without = beta**2 * np.array(
        [_covariance(a[:k] + a[k + 1 :], b[:k] + b[k + 1 :]) for k in range(len(a))]
    )
    error = np.sqrt((len(a) - 1) * np.mean((without - without.mean()) ** 2))
    pairs = zip(virial, primitive, strict=True)
    count = sum(min(independent_values(x), independent_values(y)) for x, y in pairs)
    sure = count >= FEWEST or len(virial) >= MANY
    value = beta**2 * _covariance(a, b) + 1.5 * n_atoms
    return Estimate(value, float(error) if sure else np.nan, count)


def _covariance(a: list[FloatArray], b: list[FloatArray]) -> float:
    """Of two series, each in parts."""
    x, y = np.concatenate(a), np.concatenate(b)
    return float(np.mean((x - x.mean()) * (y - y.mean())))
