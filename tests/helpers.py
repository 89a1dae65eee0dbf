"""Small models, structures and files that many tests use."""

import csv
import io
import json
import os
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from matplotlib.figure import Figure

from schnet_calc.data.frames import Frames
from schnet_calc.data.qm9 import COLUMNS, PARTS
from schnet_calc.engine import make_engine
from schnet_calc.guard.statistics import statistics_of_data
from schnet_calc.ipi.outputs import read_properties
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.ipi.wire import Request, header
from schnet_calc.modelfile import load_potential, save_model
from schnet_calc.modelfile.archive import METADATA
from schnet_calc.modelfile.saving import rewrite_model
from schnet_calc.nn import Network, make_network, network_config
from schnet_calc.structures.neighbors import HalfPairs

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SCHNET_CALC_DATA", ROOT.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no reference data in {DATA}; set SCHNET_CALC_DATA"
)
REFERENCES = {1: -13.6, 6: -1030.1, 8: -2042.3, 14: -7872.4}
"""eV by atomic number: what the random models know."""
VARIANTS: dict[str, dict[str, Any]] = {
    "no cutoff": {"cutoff_function": "none"},
    "mollifier": {
        "cutoff_function": "mollifier",
        "basis": "bessel",
        "activation": "silu",
        "n_filters": 17,
        "output_layers": (16, 8),
        "dense_in_bias": False,
    },
    "switch": {"cutoff_function": "switch", "cutoff_onset": 2.5},
    "hard": {"cutoff_function": "hard"},
    "tanh": {"activation": "tanh", "shared_filters": True, "neighbor_average": 12.0},
    "mean": {"pooling": "mean"},
    "softplus": {"activation": "softplus", "filter_activation": True},
    "average": {"architecture": "MeanSchNet", "cutoff_function": "hard"},
}
"""What a SchNet may be beside the thesis's own."""


def random_network(
    dtype: torch.dtype = torch.float64, architecture: str = "SchNet", **options: object
) -> Network:
    """A small network with random weights; wide Gaussians keep its energy surface smooth."""
    torch.manual_seed(3)
    defaults = {"n_features": 24, "n_interactions": 2, "n_gaussians": 16, "cutoff": 4.0}
    return make_network(network_config(architecture, {**defaults, **options})).to(dtype)


def write_model(path: Path, dtype: str = "float64", **options: object) -> Path:
    """A model file with random weights."""
    save_model(path, random_network(getattr(torch, dtype), **options), REFERENCES)
    return path


def frames_of(images: Sequence[ase.Atoms], energies: Sequence[float] | None = None) -> Frames:
    """Structures as frames, with energies or without labels."""
    numbers = [a.numbers for a in images]
    offsets = np.concatenate([[0], np.cumsum([len(n) for n in numbers])])
    return Frames(
        offsets,
        np.concatenate(numbers).astype(np.int64),
        np.concatenate([a.positions for a in images]),
        np.array([a.cell.array for a in images]),
        np.array([a.pbc for a in images]),
        {} if energies is None else {"energy": np.asarray(energies, float)},
    )


def graded_file(
    path: Path,
    images: Sequence[ase.Atoms],
    unseen: Sequence[ase.Atoms] = (),
    dtype: torch.dtype = torch.float64,
    energies: Sequence[float] | None = None,
    **options: object,
) -> Path:
    """A model file with random weights that was "trained" on some structures."""
    save_model(path, random_network(dtype, **options), REFERENCES)
    potential = load_potential(path)
    new = frames_of(unseen, energies) if unseen else None
    grades, _ = statistics_of_data(make_engine([potential], device="cpu"), frames_of(images), new)
    rewrite_model(path, potential, {}, grades)
    return path


def ethanol() -> ase.Atoms:
    """A molecule off its minimum."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def skewed_silicon() -> ase.Atoms:
    """A sheared, displaced primitive cell whose atoms see several of their own images."""
    atoms = bulk("Si")
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.05 * np.arange(9).reshape(3, 3) / 9), scale_atoms=True)
    atoms.rattle(0.05, seed=2)
    return atoms


STRUCTURES = {"molecule": ethanol, "crystal": skewed_silicon}


def mixed_structures() -> list[ase.Atoms]:
    """Molecules and a crystal of several sizes."""
    images = [ethanol(), bulk("Si", cubic=True), molecule("CO"), ethanol(), molecule("CH3COOH")]
    for k, atoms in enumerate(images):
        atoms.rattle(0.08, seed=k)
    return images


def rattled(template: ase.Atoms, count: int, amplitude: float = 0.03, seed: int = 0) -> list[ase.Atoms]:
    """Copies with random displacements, Å."""
    images = []
    for k in range(count):
        images.append(template.copy())
        images[-1].rattle(amplitude, seed=seed + k)
    return images


def label(
    atoms: ase.Atoms,
    calculator: Calculator | None = None,
    energy: float = 1.0,
    forces: float = 1.0,
    stress: bool = False,
) -> ase.Atoms:
    """Attach labels of a calculator, ASE's EMT by default, times factors; the same atoms."""
    atoms.calc = calculator or EMT()
    labels: dict[str, Any] = {
        "energy": energy * atoms.get_potential_energy(),
        "forces": forces * atoms.get_forces(),
    }
    if stress:
        labels["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def write_frames(path: Path, images: Sequence[ase.Atoms], energy: float = 1.0, forces: float = 1.0) -> Path:
    """Write frames with labels of ASE's EMT, times factors."""
    ase.io.write(path, [label(atoms, energy=energy, forces=forces) for atoms in images])
    return path


def labelled_methanol(path: str | Path, count: int = 60) -> Path:
    """Write methanol with springs between its atoms as energies and forces."""
    images = rattled(molecule("CH3OH"), count, 0.05)
    rest = images[0].copy()
    rest.positions = molecule("CH3OH").positions
    lengths = rest.get_all_distances()
    for atoms in images:
        vectors = atoms.positions[None] - atoms.positions[:, None]
        stretch = np.linalg.norm(vectors, axis=-1) - lengths
        pull = 10 * stretch / np.where(lengths > 0, np.linalg.norm(vectors, axis=-1), 1)
        forces = (pull[..., None] * vectors).sum(1)
        atoms.calc = SinglePointCalculator(
            atoms, energy=float(2.5 * (stretch**2).sum()) - 3146, forces=forces
        )
    ase.io.write(path, images)
    return Path(path)


def strained_copper(n_frames: int = 24) -> list[ase.Atoms]:
    """Strained, rattled copper on EMT, the first without a stress."""
    images = []
    for seed in range(n_frames):
        rng = np.random.default_rng(seed)
        atoms = bulk("Cu")
        strain = np.eye(3) + rng.normal(scale=0.04, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms *= (2, 1, 1)
        atoms.rattle(0.1, seed=seed)
        images.append(label(atoms, stress=seed > 0))
    return images


class Harmonic(torch.nn.Module):
    """A foreign network that keeps the contract: every pair of atoms joined by a spring.

    Parameters
    ----------
    constant : float
        eV/Å²
    """

    def __init__(self, constant: float = 1.0) -> None:
        super().__init__()
        self.constant = constant

    def forward(
        self,
        numbers: torch.Tensor,
        positions: torch.Tensor,
        pairs: torch.Tensor,
        shifts: torch.Tensor,
        system: torch.Tensor,
    ) -> torch.Tensor:
        """Atomic energies (N,)."""
        vectors = positions[pairs[1]] + shifts - positions[pairs[0]]
        energies = 0.25 * self.constant * (vectors**2).sum(1)
        return torch.zeros_like(positions[:, 0]).index_add(0, pairs[0], energies)


FOREIGN = {
    "format_version": 1,
    "cutoff": None,
    "elements": [1],
    "reference_energies_ev": {"1": 0.0},
    "dtype": "float64",
}
"""Metadata of a foreign file."""


def write_foreign(
    path: Path, metadata: dict[str, Any] | None, module: torch.nn.Module | None = None
) -> Path:
    """TorchScript with metadata beside it, as others would write it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(module or Harmonic())
        extra = {} if metadata is None else {METADATA: json.dumps(metadata)}
        torch.jit.save(scripted, str(path), _extra_files=extra)
    return path


def key_set(pairs: HalfPairs, positions: np.ndarray, cutoff: float) -> set[tuple[float, ...]]:
    """Pairs within the cutoff, whichever of the two comes first."""
    vectors = positions[pairs.j] + pairs.shifts - positions[pairs.i]
    near = np.linalg.norm(vectors, axis=1) < cutoff
    found = set()
    for i, j, v in zip(pairs.i[near], pairs.j[near], vectors[near].round(6) + 0.0, strict=True):
        first, second = (int(i), int(j), *v), (int(j), int(i), *(-v + 0.0))
        found.add(min(first, second))
    assert len(found) == near.sum()
    return found


def energy_of(calculator: Any, atoms: ase.Atoms) -> float:
    """Energy of one structure, eV; a function of a module, so that other processes find it."""
    return calculator.evaluate([atoms])[0].energy


def pimd_settings(**options: Any) -> PIMDSettings:
    """A short simulation of four beads."""
    defaults = {"beads": 4, "temperature": 300.0, "time": 0.02, "stride": 1, "frame_stride": 5, "seed": 2}
    return PIMDSettings(**{**defaults, "transport": "socket", **options})


def pimd_rows(
    folder: Path, columns: Iterable[str] = ("conserved", "potential", "kinetic_cv", "r_gyration")
) -> np.ndarray:
    """(rows, columns) of i-PI's properties."""
    table = read_properties(folder / "simulation.out")
    return np.column_stack([table[name] for name in columns])


def rewrite(path, change):
    """A copy of an archive whose entries a function changes: (name, content) -> entries to write."""
    source, buffer = zipfile.ZipFile(path), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for item in source.infolist():
            for name, content in change(item.filename, source.read(item)):
                target.writestr(name, content)
    return buffer.getvalue()


def with_metadata(path, **changes):
    """The archive with other metadata; None takes a key away."""

    def change(name, content):
        if name.endswith(METADATA):
            metadata = {**json.loads(content), **changes}
            content = json.dumps({k: v for k, v in metadata.items() if v is not None}).encode()
        yield name, content

    return rewrite(path, change)


def remember_figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """Figures by the names of the files that they are written to from now on."""
    found: dict[str, Figure] = {}
    save = Figure.savefig

    def saving(figure: Figure, path: Path, **options: Any) -> None:
        found[Path(path).name] = figure
        save(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", saving)
    return found


def write_qm9(folder: Path, molecules: Sequence[ase.Atoms]) -> Path:
    """The files of QM9 with these molecules and made-up labels."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = ["XYZ_file", "Elements", "XYZ_Ang", *(column for column, _, _ in COLUMNS.values())]
    for part, mine in zip(PARTS, (molecules, [], []), strict=True):
        with (folder / part).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, fields)
            writer.writeheader()
            for k, atoms in enumerate(mine):
                row = {
                    "XYZ_file": f"{k}.xyz",
                    "Elements": "[" + ",".join(f"'{s}'" for s in atoms.symbols) + "]",
                    "XYZ_Ang": json.dumps(atoms.positions.tolist()).replace(" ", ""),
                }
                for j, (column, _, _) in enumerate(COLUMNS.values()):
                    row[column] = str(-1.0 - 0.1 * j - 0.01 * len(atoms))
                writer.writerow(row)
    return folder


def encode_request(request: Request) -> bytes:
    """POSDATA as i-PI sends it."""
    count = np.int32(request.positions.shape[1]).tobytes()
    cells = np.stack((request.cells, np.linalg.inv(request.cells)), axis=1)
    parts = (count, cells.tobytes()) if len(request.cells) > 1 else (cells.tobytes(), count)
    return header("POSDATA") + b"".join(parts) + request.positions.tobytes()
