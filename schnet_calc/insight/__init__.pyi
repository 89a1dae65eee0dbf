from .alchemy import alchemical_path as alchemical_path
from .attribution import Attribution as Attribution, attribute as attribute
from .contributions import (
    Contributions as Contributions,
    Rings as Rings,
    atom_contributions as atom_contributions,
    find_rings as find_rings,
    ring_energies as ring_energies,
)
from .embeddings import (
    Components as Components,
    embedding_components as embedding_components,
    main_group as main_group,
)
from .filters import (
    filter_curves as filter_curves,
    filter_cuts as filter_cuts,
    plane_points as plane_points,
)
from .probe import (
    PotentialGrid as PotentialGrid,
    Surface as Surface,
    local_chemical_potential as local_chemical_potential,
    potential_grid as potential_grid,
    potential_surface as potential_surface,
)
from .sensitivity import distance_sensitivity as distance_sensitivity
