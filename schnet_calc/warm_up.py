"""Everything that is compiled, compiled now: for a cluster's shared disk or a container image.

Each part uses the package as a first run would, on structures that take no time.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write

from schnet_calc.lammps.evaluator import DistributedEvaluator, Surroundings
from schnet_calc.lammps.pairs import close_pairs, find_pairs
from schnet_calc.model import Model
from schnet_calc.nn import SchNetConfig
from schnet_calc.structures.geometries import Geometries
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig

DTYPES = ("float32", "float64")


def warm_up() -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what there is to compile: its name, and a function that compiles it."""
    for name, compile_all in (
        ("energies and forces", evaluate),
        ("training", train),
        ("LAMMPS", distribute),
    ):
        for dtype in DTYPES:
            yield f"{name}, {dtype}", partial(compile_all, dtype)


def evaluate(dtype: str) -> None:
    """A molecule, a batch, geometries of the same atoms, a crystal; with a model of molecules and one of more."""
    ethanol, silicon = molecule("CH3CH2OH"), bulk("Si", cubic=True)
    with _quiet():  # the guard is compiled, too, and has its say
        model = Model("ethanol", device="cpu", dtype=dtype)
        model.evaluate([ethanol])
        model.evaluate([ethanol, ethanol])
        model.totals(Geometries.from_atoms([ethanol, ethanol]))
        Model("h2co", device="cpu", dtype=dtype).evaluate([molecule("H2CO")])
        Model("silicon", device="cpu", dtype=dtype).evaluate([silicon])


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is logged but errors."""
    logger = logging.getLogger("schnet_calc")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Alone:
    """The only process of all: nothing to exchange."""

    def forward(self, rows: np.ndarray) -> None:
        """No guests to fill."""

    def reverse(self, rows: np.ndarray) -> None:
        """No guests to send."""


def distribute(dtype: str) -> None:
    """What a rank of LAMMPS does with its atoms."""
    atoms, here = molecule("CH3CH2OH"), np.arange(9)
    model = Model("ethanol", device="cpu", dtype=dtype, on_doubt="ignore")
    evaluator = DistributedEvaluator(model)
    i, j = find_pairs(atoms.positions, here, 9, evaluator.cutoff)
    close_pairs(atoms.positions, i, j, here, here, evaluator.cutoff)
    numbers = atoms.numbers.astype(np.int64)
    evaluator.evaluate(Surroundings(atoms.positions, here, here, numbers, here, 9, i, j), _Alone())


def train(dtype: str) -> None:
    """Two steps for energies, forces and stress with either optimiser."""
    images = [
        _labelled(bulk("Cu", cubic=True) if k % 4 == 0 else molecule("CH3CH2OH"), k) for k in range(12)
    ]
    training = TrainingConfig(steps=2, batch_size=4, validate_every=2, dtype=dtype, device="cpu")
    network = SchNetConfig(n_features=16, n_interactions=2, n_gaussians=12, cutoff=4.0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.extxyz"
        write(file, images)
        data = DataConfig(str(file), n_train=8, n_validation=4)
        for optimizer in ("soap", "adam"):
            config = RunConfig(data, network, replace(training, optimizer=optimizer))
            Run(config, Path(folder) / optimizer).run()


def _labelled(atoms: Atoms, seed: int) -> Atoms:
    atoms.rattle(0.05, seed=seed)
    atoms.calc = EMT()
    atoms.get_forces()
    return atoms
