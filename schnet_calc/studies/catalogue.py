"""All tables and figures of the paper and the thesis: which part of the reproduction has them, or why none has."""

from typing import NamedTuple


class CatalogueEntry(NamedTuple):
    """A table or a figure."""

    label: str
    """``"Table 4.2"``; those of the paper begin with ``"Paper"``."""
    title: str
    note: str = ""
    """What differs from the original."""
    reason: str = ""
    """Why it is not repeated."""


ILLUSTRATION = "An illustration, without data of its own."
DESCRIPTORS = "About descriptors that this package doesn't have."
SAME = "The same as {} of the thesis."

CATALOGUE = (
    CatalogueEntry("Paper, Figure 1", "Discrete and continuous filters", reason=ILLUSTRATION),
    CatalogueEntry("Paper, Figure 2", "The architecture", reason=ILLUSTRATION),
    CatalogueEntry("Paper, Figure 3", "Cuts through the filters", reason=SAME.format("Figure 4.4")),
    CatalogueEntry(
        "Paper, Table 1",
        "U0 of QM9 over training molecules",
        reason=SAME.format("Figure 4.6 and Table 4.2"),
    ),
    CatalogueEntry("Paper, Table 2", "MD17", reason=SAME.format("Tables 5.3 and 5.4")),
    CatalogueEntry("Paper, Table 3", "ISO17", reason=SAME.format("Table 5.5")),
    CatalogueEntry("Figure 1.1", "Examples of atomistic systems", reason=ILLUSTRATION),
    CatalogueEntry("Table 2.1", "Applications of descriptors", reason=DESCRIPTORS),
    CatalogueEntry("Table 2.2", "Properties of descriptors", reason=DESCRIPTORS),
    CatalogueEntry("Figure 2.1", "Partial radial distribution functions", reason=DESCRIPTORS),
    CatalogueEntry("Figure 2.2", "Cutoff functions of descriptors", reason=DESCRIPTORS),
    CatalogueEntry("Figure 3.1", "The DTNN", reason=ILLUSTRATION),
    CatalogueEntry("Figure 3.2", "Refinement of environments", reason=ILLUSTRATION),
    CatalogueEntry("Figure 3.3", "Features for stretched H2", reason=DESCRIPTORS),
    CatalogueEntry(
        "Table 3.1",
        "DTNN on QM7b and QM9",
        "QM7b is not at hand; QM9 by the learning curve, in fewer steps.",
    ),
    CatalogueEntry(
        "Figure 3.4", "Learning curves of DTNN", reason=SAME.format("Figure 4.6, which has the best DTNN,")
    ),
    CatalogueEntry("Figure 3.5", "Molecules with the largest errors", "SchNet here; the thesis has DTNN."),
    CatalogueEntry("Figure 3.6", "Errors over the number of atoms", "SchNet here; the thesis has DTNN."),
    CatalogueEntry(
        "Figure 3.7", "Energies of C7H10O2 isomers", "SchNet here, unseen molecules; the thesis has DTNN."
    ),
    CatalogueEntry(
        "Figure 3.8",
        "Energies along a trajectory",
        reason="The MD17 data at hand are shuffled: there is no trajectory.",
    ),
    CatalogueEntry("Table 3.2", "DTNN on MD17", "Ethanol alone was trained, with forces."),
    CatalogueEntry(
        "Table 3.3",
        "Kernel ridge regression on MD17",
        reason="Another method, quoted there from another paper.",
    ),
    CatalogueEntry(
        "Figure 3.9", "Contributions of atoms, DTNN", reason=SAME.format("Figure 4.8, for SchNet,")
    ),
    CatalogueEntry(
        "Figure 3.10", "Contributions of atoms in benzene", "SchNet here; the thesis has five DTNNs."
    ),
    CatalogueEntry(
        "Figure 3.11", "Contributions of atoms in malonaldehyde", "SchNet here; the thesis has five DTNNs."
    ),
    CatalogueEntry(
        "Figure 3.12",
        "Potentials around molecules of QM9, DTNN",
        reason=SAME.format("Figure 4.10, for SchNet,"),
    ),
    CatalogueEntry("Figure 3.13", "How a probe works", reason=ILLUSTRATION),
    CatalogueEntry(
        "Figure 3.14", "Potentials around molecules of MD17", "SchNet here, a carbon probe each."
    ),
    CatalogueEntry(
        "Figure 3.15",
        "Potentials around benzene from QM9 and from MD17",
        "SchNet here; one number of interactions.",
    ),
    CatalogueEntry("Figure 3.16", "From benzene to s-triazine", "SchNet here; the thesis has DTNN."),
    CatalogueEntry("Figure 4.1", "Discrete and continuous filters", reason=ILLUSTRATION),
    CatalogueEntry("Figure 4.2", "The architecture", reason=ILLUSTRATION),
    CatalogueEntry("Figure 4.3", "Shifted softplus and ELU"),
    CatalogueEntry("Figure 4.4", "Cuts through the filters of ethanol"),
    CatalogueEntry("Figure 4.5", "Filters on lattices", "On silicon's lattice, by the network of silicon."),
    CatalogueEntry(
        "Figure 4.6", "Learning curves on QM9", "In thousands of steps, where the thesis made millions."
    ),
    CatalogueEntry(
        "Table 4.1",
        "Steps until the lowest validation error",
        reason="Wants trainings of ten million steps.",
    ),
    CatalogueEntry("Table 4.2", "Properties of QM9", "Some share a network."),
    CatalogueEntry(
        "Table 4.3",
        "Formation energies of crystals",
        "The data at hand have 33,476 crystals, half of theirs.",
    ),
    CatalogueEntry("Figure 4.7", "Distribution of the errors for crystals"),
    CatalogueEntry(
        "Figure 4.8",
        "Contributions of atoms on QM9",
        "One network; the thesis has several trainings of each.",
    ),
    CatalogueEntry("Figure 4.9", "Potentials in graphite and diamond"),
    CatalogueEntry("Figure 4.10", "Potentials around molecules of QM9"),
    CatalogueEntry("Figure 4.11", "Breaking bonds"),
    CatalogueEntry("Figure 4.12", "Pair distributions of QM9"),
    CatalogueEntry("Figure 4.13", "Breaking bonds, below 4 Å"),
    CatalogueEntry("Figure 4.14", "Ranking of carbon rings", "Flat rings; the first and the last ten."),
    CatalogueEntry("Figure 4.15", "Components of the embeddings"),
    CatalogueEntry("Figure 5.1", "Molecules of MD17", reason=ILLUSTRATION),
    CatalogueEntry(
        "Table 5.1",
        "Ethanol with T = 1 to 3 and shared filters",
        reason="Not trained: needs 50,000 frames, 3,941 are at hand.",
    ),
    CatalogueEntry(
        "Table 5.2",
        "Benzene with T = 1 to 3 and shared filters",
        reason="Not trained: needs 50,000 frames, 3,941 are at hand.",
    ),
    CatalogueEntry("Table 5.3", "Energies of MD17, N = 1,000", "N = 50,000 is more than the data at hand."),
    CatalogueEntry("Table 5.4", "Forces of MD17, N = 1,000", "N = 50,000 is more than the data at hand."),
    CatalogueEntry("Figure 5.2", "Configurations of ethanol and malonaldehyde", reason=ILLUSTRATION),
    CatalogueEntry("Figure 5.3", "Isomers of ISO17", reason=ILLUSTRATION),
    CatalogueEntry("Table 5.5", "Isomers", "iso17-xtb, a surrogate: fewer frames, labels of GFN2-xTB."),
    CatalogueEntry("Figure 5.4", "The C20 cage"),
    CatalogueEntry(
        "Table 5.6",
        "Networks for C20",
        "The shipped models, and all rows trained in small; labels from a surface fitted to PBE+vdW-TS.",
    ),
    CatalogueEntry(
        "Figure 5.5", "Normal modes of C20", "Beside the surface that made the labels, not beside DFT."
    ),
    CatalogueEntry("Figure 5.6", "Dynamics of C20", "In picoseconds; the thesis ran 1.25 ns."),
    CatalogueEntry("Table A.1", "Properties of QM9", reason=ILLUSTRATION),
    CatalogueEntry("Table A.2", "Data sets of MD17", reason=ILLUSTRATION),
    CatalogueEntry(
        "Figure A.1",
        "Elements in the Materials Project",
        reason="About the data: schnet-calc data shows it.",
    ),
    CatalogueEntry(
        "Figure B.1", "Contributions of two DTNNs", reason="Wants two trainings on QM9; one is shipped."
    ),
    CatalogueEntry(
        "Figure B.2",
        "Contributions of two SchNets, T = 3",
        reason="Wants two trainings on QM9; one is shipped.",
    ),
    CatalogueEntry(
        "Figure B.3",
        "Contributions of two SchNets, T = 6",
        reason="Wants two trainings on QM9; one is shipped.",
    ),
    CatalogueEntry(
        "Table B.1",
        "Energies of MD17 with T = 6",
        reason="Not trained; T = 3 is below the thesis's errors.",
    ),
    CatalogueEntry(
        "Table B.2", "Forces of MD17 with T = 6", reason="Not trained; T = 3 is below the thesis's errors."
    ),
)
"""In the order of the page. Tables 2.1 to 5.6 and figures are the thesis's."""
