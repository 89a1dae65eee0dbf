"""Numbers from structures and trajectories."""

from schnet_calc.analysis.bonds import Cluster, bonds, clusters, covalent_bonds, shells
from schnet_calc.analysis.distances import (
    Distribution,
    diameters,
    distribution,
    nearest_neighbors,
    pair_distances,
    radial_distribution,
)

__all__ = [
    "Cluster",
    "Distribution",
    "bonds",
    "clusters",
    "covalent_bonds",
    "diameters",
    "distribution",
    "nearest_neighbors",
    "pair_distances",
    "radial_distribution",
    "shells",
]
