"""What a network has learned (thesis Sections 3.6 and 4.5): arrays, which ``plots`` draws."""

from schnet_calc.insight.alchemy import alchemical_path
from schnet_calc.insight.attribution import Attribution, attribute
from schnet_calc.insight.contributions import (
    Contributions,
    Rings,
    atom_contributions,
    find_rings,
    ring_energies,
)
from schnet_calc.insight.embeddings import Components, embedding_components, main_group
from schnet_calc.insight.filters import filter_curves, filter_cuts, plane_points
from schnet_calc.insight.probe import (
    PotentialGrid,
    Surface,
    local_chemical_potential,
    potential_grid,
    potential_surface,
)
from schnet_calc.insight.sensitivity import distance_sensitivity

__all__ = [
    "Attribution",
    "Components",
    "Contributions",
    "PotentialGrid",
    "Rings",
    "Surface",
    "alchemical_path",
    "atom_contributions",
    "attribute",
    "distance_sensitivity",
    "embedding_components",
    "filter_curves",
    "filter_cuts",
    "find_rings",
    "local_chemical_potential",
    "main_group",
    "plane_points",
    "potential_grid",
    "potential_surface",
    "ring_energies",
]
