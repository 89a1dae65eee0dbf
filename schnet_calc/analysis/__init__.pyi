from .bonding import (
    Cluster as Cluster,
    bonds as bonds,
    clusters as clusters,
    covalent_bonds as covalent_bonds,
    shells as shells,
)
from .distances import (
    Distribution as Distribution,
    diameters as diameters,
    distribution as distribution,
    nearest_neighbors as nearest_neighbors,
    pair_distances as pair_distances,
    radial_distribution as radial_distribution,
)
