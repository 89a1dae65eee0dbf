"""A card whose memory others have taken, and training on two processes."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from on_gpu import Trial
from on_gpu.engines import calculator_of, random_potential, structures
from schnet_calc import SchNetCalculator
from schnet_calc.structures.geometries import Geometries
from schnet_calc.studies.bench.cases import cage
from schnet_calc.training.checkpoint import load_checkpoint

ROOMS = (4e9, 1e9, 2.5e8, 5e7)
"""Bytes that are left free on the card; at the end of the list a model alone hardly fits."""
CONFIG = """
[data]
file = "frames.extxyz"
n_train = 24
n_validation = 8
[model]
n_features = 16
n_interactions = 2
n_gaussians = 12
cutoff = 4.0
[training]
steps = {steps}
batch_size = 5
optimizer = "adam"
validate_every = 10
rho = 0.05
threads = 1
dtype = "float64"
"""


def full_card(trial: Trial) -> dict[str, Any]:
    """Whether numbers are right, or too little memory is said in a sentence, as the card fills; and afterwards."""
    potential, copies = random_potential(), 4 if trial.quick else 1024
    images = [cage() for _ in range(copies)]
    for seed, atoms in enumerate(images[:4]):
        atoms.rattle(0.05, seed=seed)
    exact = SchNetCalculator(potential, device="cpu", dtype="float64", on_doubt="ignore")
    expected = [p.forces for p in exact.evaluate(images[:4])]
    geometries, found = Geometries.from_atoms(images), dict[str, Any]()

    def right(forces: Any) -> bool:
        return max(float(np.abs(a - b).max()) for a, b in zip(forces, expected, strict=False)) < 1e-4

    def tried() -> bool | str:
        try:
            calculator = calculator_of(potential, trial, "float32")
            each = calculator.engine.evaluate(structures(images))
            return right(p.forces for p in each) and right(calculator.engine.totals(geometries).forces)
        except MemoryError as error:
            return f"MemoryError: {error}"

    for room in ROOMS:
        with _held(trial, room):
            found[f"{room / 1e6:.0f} MB free"] = tried()
    found["all free again"] = tried()
    found["right with room"] = found["4000 MB free"] is True and found["all free again"] is True
    return found


@contextmanager
def _held(trial: Trial, room: float) -> Iterator[None]:
    """Take the card's memory but for some bytes."""
    held = []
    if trial.device != "cpu":
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(trial.device)
        held.append(torch.empty(max(int(free - room), 1), dtype=torch.uint8, device=trial.device))
    try:
        yield
    finally:
        held.clear()
        if trial.device != "cpu":
            torch.cuda.empty_cache()


def two_ranks(trial: Trial) -> dict[str, Any]:
    """Whether two processes end with the weights of one: on two cards, or sharing one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_frames(folder / "frames.extxyz")
        (folder / "config.toml").write_text(CONFIG.format(steps=10 if trial.quick else 60))
        train = ["-m", "schnet_calc.cli", "train", "config.toml", "--device", trial.device.split(":")[0]]
        two = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
        for begin, output in (([], "one"), (two, "two")):
            command = [sys.executable, *begin, *train, "-o", output]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{output}: status {done.returncode}: {done.stderr[-2500:]}")
        one, both = (load_checkpoint(folder / k / "checkpoint.safetensors")[0] for k in ("one", "two"))
    worst = max(float((one[k] - both[k]).abs().max()) for k in one if one[k].is_floating_point())
    return {"cards": torch.cuda.device_count(), "largest difference": worst, "the same": worst < 1e-6}


def _write_frames(path: Path) -> None:
    """Molecules of two sizes, with labels of a simple potential."""
    images = []
    for seed in range(40):
        atoms = molecule("CH3CH2OH" if seed % 2 else "H2O")
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        images.append(atoms)
    ase.io.write(path, images)
