"""What a training step costs: ours, a peer's in the same run, and the arithmetic that is left."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from schnet_calc.data import read_frames
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.nn import SchNetConfig
from schnet_calc.structures.neighbors import half_pairs
from schnet_calc.studies.bench.cases import cage, diamond
from schnet_calc.studies.bench.timing import Call, check_asked, gflops, matrix_product, take_turns
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig
from schnet_calc.training.loss import loss_function
from schnet_calc.training.subnormals import no_subnormals

SMALL = SchNetConfig(n_features=64, n_interactions=3, n_gaussians=25, cutoff=5.0)
C20 = SchNetConfig(n_features=128, n_interactions=6, n_gaussians=50, cutoff=6.0, basis_width=0.15)
QM9 = SchNetConfig(n_features=64, n_interactions=6, n_gaussians=100, cutoff=12.0, cutoff_function="none")
BATCHES = (1, 8, 128)
"""Further sizes of a batch of aspirins."""
SPACING = 0.05
"""Å between the knots of filter tables."""


@dataclass(frozen=True)
class TrainingCase:
    """A batch of copies of a structure, a little displaced."""

    name: str
    atoms: ase.Atoms
    count: int
    config: SchNetConfig
    forces: bool = True

    @property
    def operations(self) -> float:
        """Necessary for a step, see :func:`training_operations`."""
        return training_operations(self.atoms, self.config, self.count, self.forces)


def training_operations(
    atoms: ase.Atoms, config: SchNetConfig, count: int = 1, forces: bool = True
) -> float:
    """Return the operations of a step without the optimiser's: 2 per multiplication and addition.

    Per atom and block, three layers: with forces six times (values, adjoint, and for the gradient of each of these
    its inputs and its weights), without three times. Per pair, feature and block, with cubic look-ups: 6 for the
    convolution and 12 for its gradient; with forces 13 for the adjoint and 26 for the gradient of that. The filter
    networks three times per row of a table.

    Parameters
    ----------
    atoms : Atoms
        A structure.
    config : SchNetConfig
        Of the network.
    count : int
        Structures in a batch.
    forces : bool
        Whether forces are trained on.
    """
    pairs = half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, config.reach)
    f, t, n = config.n_features, config.n_interactions, len(atoms)
    per_pair = 6 + 12 + (13 + 26 if forces else 0)
    dense = (6 if forces else 3) * n * f * (3 * t * f + f // 2)
    rows = _grid(atoms, config).n_intervals + 5
    filters = 3 * t * rows * f * (config.n_gaussians + f)
    return 2.0 * (count * (len(pairs.i) * f * t * per_pair + dense) + filters)


def _grid(atoms: ase.Atoms, config: SchNetConfig) -> SplineGrid:
    pairs = half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, config.reach)
    lengths = np.linalg.norm(atoms.positions[pairs.j] + pairs.shifts - atoms.positions[pairs.i], axis=1)
    return SplineGrid.covering(lengths.min(), lengths.max(), min(SPACING, 0.25 * config.width))


def training_cases() -> Iterator[TrainingCase]:
    """Aspirin as in MD17, C20 as in the thesis, QM9's network on energies alone, a crystal; further batches."""
    aspirin = _aspirin()
    yield TrainingCase("aspirin, batch of 32", aspirin, 32, SMALL)
    yield TrainingCase("C20 of T = 6, batch of 8", cage(), 8, C20)
    yield TrainingCase("energies alone, QM9 network, 32", aspirin, 32, QM9, forces=False)
    yield TrainingCase("diamond, 4 × 64 atoms", diamond(64), 4, SMALL)
    for count in BATCHES:
        yield TrainingCase(f"aspirin, batch of {count}", aspirin, count, SMALL)


def _aspirin() -> ase.Atoms:
    with as_file(files("schnet_calc.studies.bench") / "aspirin.xyz") as path:
        atoms: ase.Atoms = ase.io.read(path)
    return atoms


@dataclass(frozen=True)
class TrainingTiming:
    """One line of the table; milliseconds, and ratios of what took turns."""

    name: str
    adam: float
    soap: float
    autograd: float | None
    """With the forces by automatic differentiation."""
    peer: float | None
    floor: float
    peer_ratio: float | None
    over_floor: float


@dataclass(frozen=True)
class TrainingBench:
    """Outcome of :func:`run_training_bench`."""

    timings: list[TrainingTiming]
    parts: dict[str, float]
    """ms of the parts of the first step, with Adam"""
    gflops: float
    threads: int


def run_training_bench(
    against: str | None = None,
    seconds: float = 1.0,
    progress: Callable[[str], None] | None = None,
    batches: bool = True,
) -> TrainingBench:
    """Time training steps with Adam and SOAP, and the peer's AdamW in the same run.

    Parameters
    ----------
    against : str, optional
        ``"schnetpack"``, whose pairs are found beforehand.
    seconds : float
        For each timing, about.
    progress : callable, optional
        Called with what is timed next.
    batches : bool
        Whether to time further sizes of batches.

    Raises
    ------
    ValueError
        There is no such peer, or no time.
    ModuleNotFoundError
        SchNetPack is not installed.
    """
    check_asked(against, seconds)
    timings, parts, products = [], {}, []
    for k, case in enumerate(training_cases()):
        if k >= 4 and not batches:
            break
        if progress is not None:
            progress(case.name)
        with tempfile.TemporaryDirectory() as folder, no_subnormals():
            times = _turns(case, Path(folder), against is not None and case.forces, seconds, k == 0)
            if k == 0:
                parts = _parts(make_run(case, Path(folder) / "parts", "adam"), seconds)
        products += times["product"].tolist()
        timings.append(_timing(case, times))
    return TrainingBench(timings, parts, gflops(float(np.median(products))), torch.get_num_threads())


def _turns(
    case: TrainingCase, folder: Path, against: bool, seconds: float, autograd: bool
) -> dict[str, Any]:
    calls: dict[str, Call] = {
        optimizer: make_run(case, folder / optimizer, optimizer).make_step for optimizer in ("adam", "soap")
    }
    if autograd:
        calls["autograd"] = make_run(case, folder / "autograd", "adam", "autograd").make_step
    if against:
        from schnet_calc.studies.bench import schnetpack

        frames = read_frames(folder / "adam.extxyz")
        calls["peer"] = schnetpack.training_step(case.config, frames, case.count)
    return take_turns({**calls, "product": matrix_product()}, seconds)


def _timing(case: TrainingCase, times: dict[str, Any]) -> TrainingTiming:
    floor = case.operations / gflops(times["product"]) * 1e-6
    peer = times.get("peer")
    return TrainingTiming(
        case.name,
        float(np.median(times["adam"])),
        float(np.median(times["soap"])),
        float(np.median(times["autograd"])) if "autograd" in times else None,
        None if peer is None else float(np.median(peer)),
        float(np.median(floor)),
        None if peer is None else float(np.median(peer / times["adam"])),
        float(np.median(times["adam"] / floor)),
    )


def make_run(
    case: TrainingCase, folder: Path, optimizer: str, gradients: str = "auto", device: str = "cpu"
) -> Run:
    """Return a run on copies with random labels, whose values change no time.

    Parameters
    ----------
    case : TrainingCase
        Structure, network, batch.
    folder : Path
        Of the run.
    optimizer, gradients, device : str
        As in a configuration.
    """
    rng, images = np.random.default_rng(0), []
    for k in range(2 * case.count + 1):
        atoms = case.atoms.copy()
        atoms.rattle(0.05, seed=k)
        labels = {"energy": rng.normal()} | (
            {"forces": rng.normal(size=(len(atoms), 3))} if case.forces else {}
        )
        atoms.calc = SinglePointCalculator(atoms, **labels)
        images.append(atoms)
    path = folder.with_suffix(".extxyz")
    ase.io.write(path, images)
    training = TrainingConfig(
        batch_size=case.count,
        optimizer=optimizer,
        gradients=gradients,
        device=device,
        threads=torch.get_num_threads(),
        spline_spacing=SPACING,
    )
    data = DataConfig(str(path), n_train=2 * case.count, n_validation=1)
    return Run(RunConfig(data, case.config, training), folder)


def _parts(run: Run, seconds: float) -> dict[str, float]:
    """Where the time of a step goes, ms."""
    data, fit = run.data, run.optimisation
    batch = data.train.batch(np.arange(data.batch_size))
    calls: dict[str, Call] = {
        "whole": run.make_step,
        "batch": lambda: data.train.batch(np.arange(data.batch_size)),
        "forward": lambda: loss_function(fit.predict(fit.network, batch), batch, data.terms),
    }
    calls["both"] = lambda: calls["forward"]().backward()  # type: ignore[attr-defined]
    times = {name: float(np.median(x)) for name, x in take_turns(calls, seconds).items()}
    parts = {
        "putting the batch together": times["batch"],
        "energies, forces and loss": times["forward"],
        "their gradient": times["both"] - times["forward"],
    }
    return {
        **parts,
        "clipping, optimiser, average": times["whole"] - sum(parts.values()),
        "whole": times["whole"],
    }
