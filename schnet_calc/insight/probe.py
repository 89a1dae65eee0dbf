"""Local chemical potentials: the energy of a probe atom that feels a structure and leaves it alone.

Thesis Sections 3.6.2 and 4.5.2. The probe is an atom that others send their features to, and that sends
none itself: model files take directed pairs, so any of them can be probed as it is.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import ase
import numpy as np
import torch
from ase.io.cube import write_cube
from numpy.typing import NDArray

from schnet_calc.engine import TorchScriptEngine
from schnet_calc.insight.images import count_around, pairs_around
from schnet_calc.insight.loading import Model, element, open_potential
from schnet_calc.modelfile import Potential
from schnet_calc.reductions import REDUCTIONS
from schnet_calc.structures.graph import Graph
from schnet_calc.structures.structure import Structure

ISOSURFACE = 3.7
"""Å⁻²: on the surface of Fig. 4.10 the squares of the inverse distances to all atoms add up to this."""
CHUNK = 200_000
"""Pairs with probes that are evaluated at a time."""


@dataclass(frozen=True)
class PotentialGrid:
    """Outcome of :func:`potential_grid`."""

    atoms: ase.Atoms
    """The structure, in the box of the grid."""
    origin: NDArray[np.float64]
    """(3,) Å"""
    axes: NDArray[np.float64]
    """(3, 3) Å, from one point to the next along each direction"""
    values: NDArray[np.float64]
    """(n1, n2, n3) eV"""

    @property
    def points(self) -> NDArray[np.float64]:
        """(n1, n2, n3, 3) Å."""
        places = np.stack(np.meshgrid(*map(np.arange, self.values.shape), indexing="ij"), axis=-1)
        return self.origin + places @ self.axes

    def write(self, path: str | Path) -> None:
        """A Gaussian cube file; its values are in eV."""
        boxed = self.atoms.copy()
        boxed.cell = self.axes * np.array(self.values.shape)[:, None]  # ASE divides by the number of points
        with Path(path).open("w") as stream:
            write_cube(stream, boxed, self.values, self.origin, "local chemical potential, eV")


@dataclass(frozen=True)
class Surface:
    """Outcome of :func:`potential_surface`."""

    vertices: NDArray[np.float64]
    """(V, 3) Å"""
    faces: NDArray[np.int64]
    """(T, 3) triangles of vertices"""
    values: NDArray[np.float64]
    """(V,) eV"""


def local_chemical_potential(
    model: Model, atoms: ase.Atoms, points: NDArray[np.float64], probe: str = "C"
) -> NDArray[np.float64]:
    """Energies of a probe atom at points around or in a structure (thesis Eqs. 3.13 and 4.15), in float64.

    Of a model without energies, such as one of formation energies: the number that its head gives the probe.

    Parameters
    ----------
    model : path, str, Potential or Model
        Any model file, or a shipped name.
    atoms : Atoms
        A molecule, or a crystal.
    points : array
        (M, 3) Å.
    probe : str
        Symbol of an element that the model knows.

    Returns
    -------
    array
        (M,) eV, without the reference energy of the probe's element.

    Raises
    ------
    ValueError
        An element that the model doesn't know, points that aren't (M, 3) finite numbers, or a model that
        has neither energies nor exactly one other number.
    """
    potential = open_potential(model)
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"points must be (M, 3) finite numbers of Å, got an array of shape {points.shape}")
    number = element(potential, probe)
    head = _head(potential)
    structure = Structure.from_atoms(atoms)
    engine = TorchScriptEngine(potential, torch.device("cpu"), torch.float64)
    graph = engine.graph(structure)
    alone = _numbers_of(engine, head, graph.numbers, graph.positions, *graph.directed(), graph.system)
    home = structure._replace(positions=graph.positions.numpy())
    points = points + (home.positions[0] - structure.positions[0])
    per_point = max(len(atoms) if not atoms.pbc.any() else count_around(structure, potential.cutoff), 1)
    n_points = max(CHUNK // per_point, 1)
    parts = []
    for k in range(0, len(points), n_points):
        beside, probes = _with_probes(engine, head, graph, home, points[k : k + n_points], number)
        if not torch.allclose(beside, alone, atol=1e-6):
            raise ValueError("this model's atoms feel a probe that sends them nothing: it can't be probed")
        parts.append(probes.numpy())
    return np.concatenate([np.zeros(0), *parts])


def potential_grid(
    model: Model, atoms: ase.Atoms, probe: str = "C", spacing: float = 0.3, margin: float = 3.0
) -> PotentialGrid:
    """The local chemical potential on a grid: a box around a molecule, or the cell of a crystal.

    Parameters
    ----------
    model, atoms, probe
        As for :func:`local_chemical_potential`.
    spacing : float
        Å between points, at most.
    margin : float
        Å around a molecule.

    Raises
    ------
    ValueError
        As there, or for structures that are periodic along some directions only.
    """
    if not spacing > 0 or not margin >= 0:
        raise ValueError(f"spacing must be positive and margin not negative, got {spacing} and {margin} Å")
    if atoms.pbc.any() and not atoms.pbc.all():
        raise ValueError(f"the grid is for molecules and for crystals, pbc is {atoms.pbc}")
    if atoms.pbc.all():
        origin, box = np.zeros(3), atoms.cell.array
        counts = np.ceil(atoms.cell.lengths() / spacing).astype(int)
    else:
        origin = atoms.positions.min(axis=0) - margin
        extent = np.ptp(atoms.positions, axis=0) + 2 * margin
        counts = np.ceil(extent / spacing).astype(int) + 1
        box = np.diag(spacing * counts)
    empty = PotentialGrid(atoms.copy(), origin, box / counts[:, None], np.zeros(counts))
    values = local_chemical_potential(model, atoms, empty.points.reshape(-1, 3), probe)
    return replace(empty, values=values.reshape(counts))


def potential_surface(
    model: Model, atoms: ase.Atoms, probe: str = "C", level: float = ISOSURFACE, spacing: float = 0.12
) -> Surface:
    """The local chemical potential on a surface around a molecule, as in Fig. 4.10 of the thesis.

    Parameters
    ----------
    model, atoms, probe
        As for :func:`local_chemical_potential`.
    level : float
        Å⁻²; the surface is where the sum over atoms of ``1 / |r - r_i|²`` has this value.
    spacing : float
        Å of the grid that the surface is found on.

    Raises
    ------
    ValueError
        As there, for periodic structures, or where no point has that value.
    ModuleNotFoundError
        scikit-image is not installed (``pip install 'schnet-calc[insight]'``).
    """
    if not (level > 0 and spacing > 0):
        raise ValueError(f"level and spacing must be positive, got {level} Å⁻² and {spacing} Å")
    if atoms.pbc.any():
        raise ValueError("the surface is drawn around molecules, and this structure is periodic")
    try:
        from skimage.measure import marching_cubes
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the surface is found with scikit-image: pip install 'schnet-calc[insight]'"
        ) from error
    margin = np.sqrt(len(atoms) / level) + 2 * spacing  # at no point farther out is the sum as large
    low = atoms.positions.min(axis=0) - margin
    counts = np.ceil((np.ptp(atoms.positions, axis=0) + 2 * margin) / spacing).astype(int) + 1
    lines = [low[k] + spacing * np.arange(counts[k]) for k in range(3)]
    field = np.zeros(counts)
    for place in atoms.positions:
        x, y, z = (lines[k] - place[k] for k in range(3))
        square = x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2
        field += 1.0 / np.maximum(square, 1e-6)
    if field.max() <= level:
        raise ValueError(
            f"no point of the grid lies within the surface of {level} Å⁻²: choose a lower level"
        )
    # Of the inverse: marching cubes interpolates linearly, and the sum has poles.
    vertices, faces, _, _ = marching_cubes(1.0 / field, 1.0 / level, spacing=(spacing,) * 3)
    vertices = vertices + low
    return Surface(
        vertices, faces.astype(np.int64), local_chemical_potential(model, atoms, vertices, probe)
    )


def _head(potential: Potential) -> str:
    """Return the head that a probe is asked for; an empty name for the energy."""
    hyperparameters = potential.metadata.hyperparameters
    if hyperparameters.get("energy", True):
        return ""
    heads = [name for name, kind in hyperparameters.get("heads", {}).items() if REDUCTIONS[kind].local]
    if len(heads) != 1:
        raise ValueError(
            f"a probe has an energy, or one other number; this model has {', '.join(heads) or 'none'}"
        )
    return heads[0]


def _numbers_of(engine: TorchScriptEngine, head: str, *arrays: torch.Tensor) -> torch.Tensor:
    """Return the energies (N,) of atoms, or what a head gives them; arrays as a network takes them."""
    with torch.no_grad():
        found: torch.Tensor = engine.module.outputs(*arrays)[head] if head else engine.module(*arrays)
    return found


def _with_probes(
    engine: TorchScriptEngine,
    head: str,
    graph: Graph,
    home: Structure,
    points: NDArray[np.float64],
    number: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies (N,) of the atoms of a graph and (M,) of probes at points beside one copy of them."""
    pairs, shifts = graph.directed()
    i, j, moves = pairs_around(home, points, engine.potential.cutoff)
    n_atoms, n_probes = len(graph.numbers), len(points)
    values = _numbers_of(
        engine,
        head,
        torch.cat((graph.numbers, torch.full((n_probes,), number))),
        torch.cat((graph.positions, torch.from_numpy(points))),
        torch.cat((pairs, torch.from_numpy(np.stack((i + n_atoms, j)))), dim=1),
        torch.cat((shifts, torch.from_numpy(moves))),
        # Each probe is a structure of its own: means over a structure's atoms leave it as it is.
        torch.cat((graph.system, torch.arange(1, n_probes + 1))),
    )
    return values[:n_atoms], values[n_atoms:]
