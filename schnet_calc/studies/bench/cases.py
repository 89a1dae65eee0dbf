"""What is timed: structures, steps, and how many operations these need."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
import torch
from ase import units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from schnet_calc.analysis.molecules import dodecahedron
from schnet_calc.modelfile import load_potential, save_model
from schnet_calc.nn import SchNet, SchNetConfig
from schnet_calc.structures.neighbors import half_pairs

NETWORK = SchNetConfig(n_features=128, n_interactions=6, n_gaussians=50, cutoff=5.0)
"""That of the thesis's C20 study; random weights cost what trained ones do."""
BATCHES = (1, 8, 32, 128)
DIAMOND = {64: (2, 2, 2), 216: (3, 3, 3), 1000: (5, 5, 5), 4000: (5, 10, 10), 20000: (10, 10, 25)}
"""Atoms, and repetitions of the cubic cell."""
BEADS = (1, 8, 32)
SILICON = "silicon"
"""The group of one case."""
LATTICE = 5.469
"""Å, of the shipped model's silicon."""
MASS = 1e8
"""amu: atoms so heavy stay where they are. Random weights hold nothing together, and who is faster would
soon have fewer pairs to look at."""


@dataclass(frozen=True)
class Case:
    """A structure, or several of the same kind in one batch."""

    name: str
    group: str
    """Panel of the figure."""
    atoms: ase.Atoms
    count: int = 1
    config: SchNetConfig = NETWORK
    model: str | None = None
    """Of the shipped ones; that of the run by default."""

    @property
    def pairs(self) -> int:
        """Within the cutoff, times blocks: how often a filter meets two atoms."""
        return self.count * self.config.n_interactions * n_pairs(self.atoms, self.config)

    @property
    def operations(self) -> float:
        """Necessary for energies and forces, see :func:`operations`."""
        return self.count * operations(self.atoms, self.config)


def operations(atoms: ase.Atoms, config: SchNetConfig = NETWORK) -> float:
    """Necessary for energy and forces, with tabulated filters: 2 per multiplication and addition.

    Per pair, feature and block a cubic look-up and two messages forwards, value and slope and two messages
    and a product backwards; per atom and block three layers in each direction.
    """
    f, t, n = config.n_features, config.n_interactions, len(atoms)
    pairs = 2.0 * n_pairs(atoms, config) * f * t * ((4 + 2) + (4 + 4 + 2 + 3))
    return pairs + 2.0 * n * t * 6 * f * f + 2.0 * n * f * f


def n_pairs(atoms: ase.Atoms, config: SchNetConfig) -> int:
    """Number of unordered pairs within the cutoff."""
    return len(half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, config.reach).i)


def write_random_model(path: Path) -> None:
    """Write :data:`NETWORK` for carbon with the same random weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_model(path, SchNet(NETWORK), {6: -1000.0})


def cage() -> ase.Atoms:
    """C20, slightly displaced and very heavy."""
    return _still(dodecahedron())


def diamond(n_atoms: int) -> ase.Atoms:
    """A crystal of carbon, slightly displaced and very heavy."""
    return _still(bulk("C", "diamond", a=3.567, cubic=True) * DIAMOND[n_atoms])


def silicon(repeats: int | tuple[int, int, int] = 5) -> ase.Atoms:
    """A crystal of silicon of so many cubic cells, slightly displaced and very heavy; 1,000 atoms by default."""
    return _still(bulk("Si", "diamond", a=LATTICE, cubic=True) * repeats)


def _still(atoms: ase.Atoms) -> ase.Atoms:
    atoms.rattle(0.02, seed=0)
    atoms.set_masses(np.full(len(atoms), MASS))
    return atoms


def cases(sizes: Sequence[int], config: SchNetConfig = NETWORK) -> Iterator[Case]:
    """C20 alone and in batches, diamond of so many atoms, and silicon with the shipped model."""
    for count in BATCHES:
        name = f"C20, batch of {count}" if count > 1 else "C20, one"
        yield Case(name, "batches of C20", cage(), count, config)
    for n_atoms in sizes:
        yield Case(f"diamond, {n_atoms:,} atoms", "diamond", diamond(n_atoms), 1, config)
    shipped = load_potential("silicon").metadata.config
    assert isinstance(shipped, SchNetConfig)
    yield Case("silicon, 1,000 atoms", SILICON, silicon(), 1, shipped, "silicon")


def md_step(atoms: ase.Atoms, calculator: Calculator) -> Callable[[], None]:
    """A step of velocity Verlet through ASE; with atoms of :func:`cases` all steps are the same work."""
    moving = atoms.copy()
    moving.calc = calculator
    thermalize_momenta(moving, temperature_K=300, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(moving, 0.5 * units.fs)
    return lambda: dynamics.run(1)
