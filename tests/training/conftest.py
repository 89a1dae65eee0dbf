"""Labelled frames, and settings of short runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from helpers import write_frames
from schnet_calc.data import read_frames
from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, RunConfig, TrainingConfig
from schnet_calc.training.atomic_energies import fit_atomic_energies
from schnet_calc.training.batches import Batches, TrainingBatch

CONFIG = RunConfig(
    DataConfig(n_train=24, n_validation=8),
    SchNetConfig(n_features=16, n_interactions=2, n_gaussians=12, cutoff=4.0),
    TrainingConfig(
        steps=40,
        batch_size=4,
        optimizer="adam",
        learning_rate=5e-3,
        warmup=5,
        validate_every=10,
        rho=0.05,
        threads=1,
    ),
)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rattled molecules and a crystal with labels of ASE's EMT."""
    images = []
    for seed in range(40):
        atoms = bulk("Cu", cubic=True) if seed % 4 == 0 else molecule("CH3CH2OH")
        atoms.rattle(0.08, seed=seed)
        images.append(atoms)
    return write_frames(tmp_path_factory.mktemp("data") / "emt.extxyz", images)


@pytest.fixture
def config() -> Callable[..., RunConfig]:
    """Settings of a short run on a file of frames, with others of the model or of the training."""

    def settings(data: Path, model: dict[str, Any] | None = None, **training: Any) -> RunConfig:
        return replace(
            CONFIG,
            data=replace(CONFIG.data, file=str(data)),
            model=replace(CONFIG.model, **(model or {})),
            training=replace(CONFIG.training, **training),
        )

    return settings


@pytest.fixture
def batch(data: Path) -> TrainingBatch:
    """Six of the frames."""
    frames = read_frames(data)
    return Batches(frames, fit_atomic_energies(frames, "elements"), 4.0, torch.float64).batch(np.arange(6))
