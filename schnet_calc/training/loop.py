"""The training run: a state that can stop after any step and go on as if it had not."""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from schnet_calc.analysis.errors import Errors
from schnet_calc.device import choose_device
from schnet_calc.guard.domain import Domain
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.nn import SchNetConfig, make_network
from schnet_calc.structures.structure import Structure
from schnet_calc.training.batches import Batches
from schnet_calc.training.checkpoint import (
    load_checkpoint,
    module_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from schnet_calc.training.config import RunConfig
from schnet_calc.training.distributed import join_world, local_device
from schnet_calc.training.log import append_row, forget_after
from schnet_calc.training.loss import learning_rate, loss_function
from schnet_calc.training.metrics import differences
from schnet_calc.training.predict import Predict, explicit_predictor, predict_autograd
from schnet_calc.training.references import fit_references
from schnet_calc.training.setup import (
    check_same_config,
    choose_split,
    make_optimizer,
    read_data,
    start_from,
    training_frames,
)


class Run:
    """A training run in a folder.

    Parameters
    ----------
    config : RunConfig
        What to do.
    directory : path
        Gets ``checkpoint.safetensors``, ``best.safetensors``, ``split.npz`` and ``metrics.csv``.
    resume : bool
        Go on from the checkpoint in the folder, if there is one.

    Raises
    ------
    FileExistsError
        The folder holds a run already and ``resume`` is false.
    ValueError
        The checkpoint belongs to another configuration.
    """

    def __init__(self, config: RunConfig, directory: str | Path, resume: bool = False) -> None:
        self.config = config
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.metrics = self.directory / "metrics.csv"
        training = config.training
        if training.threads:
            torch.set_num_threads(training.threads)
        self.device = choose_device(local_device(training.device))
        self.world = join_world(self.device, training.batch_size)
        self.dtype = getattr(torch, training.dtype)
        checkpoint = self.directory / "checkpoint.safetensors"
        if checkpoint.exists() and not resume:
            raise FileExistsError(
                f"{self.directory} holds a training run already; resume it or choose another folder"
            )
        self.frames = frames = read_data(config)
        self.split = self.world.tell(
            choose_split(config, frames, self.directory, checkpoint.exists()) if self.world.first else None
        )
        train = frames.select(training_frames(config, self.split))
        self.references = fit_references(train, training.reference)
        missing = sorted(set(frames.elements) - set(self.references))
        if missing:
            raise ValueError(f"elements {missing} occur in the data, but in no training frame")
        cutoff = config.model.cutoff if config.model.cutoff_function == "cosine" else math.inf
        self.train = Batches(train, self.references, cutoff, self.dtype)
        self.validation = Batches(frames.select(self.split.validation), self.references, cutoff, self.dtype)
        self.distance_range = self.train.distance_range()
        self.domain = Domain.of(Structure.from_atoms(train.atoms(k)) for k in range(len(train)))
        self.info = frames.info
        self.digest = frames.digest()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            self.network = make_network(config.model).to(self.device, self.dtype)
        self.optimizer = make_optimizer(training.optimizer, self.network)
        if training.start_from and not checkpoint.exists():
            start_from(training.start_from, self.network, self.optimizer)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.predict = self._predictor()
        self.step = 0
        self.best = math.inf
        self.stale = 0
        self.seconds = 0.0
        self.constant = 0.0
        if checkpoint.exists():
            self._restore(checkpoint)

    def _predictor(self) -> Predict:
        training, model = self.config.training, self.config.model
        explicit = isinstance(model, SchNetConfig) and model.pooling == "sum"
        if training.gradients == "explicit" and not explicit:
            raise ValueError("gradients = 'explicit' needs a SchNet with pooling = 'sum': use 'auto'")
        if training.gradients == "autograd" or not explicit:
            return predict_autograd
        low, high = self.distance_range
        validated = self.validation.distance_range()
        low, high = min(low, validated[0]), max(high, validated[1])
        # Splines coarser than the Gaussians would train another function than the one exported.
        spacing = min(training.spline_spacing, 0.25 * model.width)
        grid = SplineGrid.covering(low - 1e-3, high + 1e-3, spacing)
        return explicit_predictor(grid)

    def run(self, progress: Callable[["Run", Errors | None], None] | None = None) -> None:
        """Train until the last step, or until validation has stopped improving."""
        training = self.config.training
        started, before = time.perf_counter(), self.seconds
        total, counted = 0.0, 0
        while self.step < training.steps and not self._exhausted():
            total += self._one_step()
            counted += 1
            self.step += 1
            errors = None
            if self.step % training.validate_every == 0 or self.step == training.steps:
                self.seconds = before + time.perf_counter() - started
                errors = self._validate(total / counted)
                total, counted = 0.0, 0
            if progress is not None:
                progress(self, errors)

    def _exhausted(self) -> bool:
        return 0 < self.config.training.patience <= self.stale

    def _one_step(self) -> float:
        training = self.config.training
        indices = self._indices()
        mine = self.world.share(indices)
        batch = self.train.batch(mine).to(self.device)
        rate = learning_rate(training, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss = loss_function(self.predict(self.network, batch), batch, training)
        loss = loss * (len(mine) / len(indices))
        loss.backward()  # type: ignore[no-untyped-call]
        parameters: list[Tensor] = list(self.network.parameters())
        total = loss.detach()
        self.world.add_up([total, *(p.grad for p in parameters if p.grad is not None)])
        value = float(total)
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {self.step}: lower the learning rate ({rate:.1e})"
            )
        nn.utils.clip_grad_norm_(parameters, training.clip)
        self.optimizer.step()
        # A young average follows faster, or it would remember the first random weights.
        decay = min(training.ema, (1.0 + self.step) / (10.0 + self.step))
        with torch.no_grad():
            averages: list[Tensor] = list(self.average.parameters())
            torch._foreach_lerp_(averages, parameters, 1.0 - decay)
        return value

    def _indices(self) -> np.ndarray:
        """Frames of this step: every epoch has its own order, known from the seed alone."""
        size = min(self.config.training.batch_size, len(self.train))
        per_epoch = len(self.train) // size
        epoch, position = divmod(self.step, per_epoch)
        if getattr(self, "_epoch", None) != epoch:
            rng = np.random.default_rng([self.config.training.seed, epoch])
            self._epoch, self._order = epoch, rng.permutation(len(self.train))
        return self._order[position * size : (position + 1) * size]

    def _validate(self, loss: float) -> Errors:
        """Errors and the count of stale checks, on all processes; the first computes and writes them."""
        errors = self._errors_and_files(loss) if self.world.first else None
        told: Errors
        told, self.stale = self.world.tell((errors, self.stale))
        return told

    def _errors_and_files(self, loss: float) -> Errors:
        training = self.config.training
        how = (self.predict, training.n_validate, 32, self.device)
        if training.rho == 0:
            # Forces say nothing of the energy's constant: fit it to the mean (thesis Section 5.3).
            off = differences(self.average, self.train, *how)
            self.constant = float(-off.energies.sum() / off.n_atoms.sum())
        off = differences(self.average, self.validation, *how)
        errors = Errors.of(off.energies + self.constant * off.n_atoms, off.forces)
        score = training.force_weight * off.mean_square_force(training.force_scale)
        score += training.rho * errors.energy_rmse_ev**2
        if len(off.virials):
            score += training.stress_weight * 9 * float((off.virials**2).mean())
        self.stale += 1
        if score < self.best:
            self.best, self.stale = score, 0
            save_checkpoint(
                self.directory / "best.safetensors",
                {f"average.{k}": v for k, v in self.average.state_dict().items()},
                self._state(errors),
            )
        rate = learning_rate(training, self.step - 1)
        append_row(self.metrics, self.step, rate, loss, errors, self.seconds)
        self._save(errors)
        return errors

    def _state(self, errors: Errors) -> dict[str, Any]:
        return {
            "config": self.config.to_dict(),
            "step": self.step,
            "best": self.best,
            "stale": self.stale,
            "seconds": self.seconds,
            "references": {str(z): e + self.constant for z, e in self.references.items()},
            "validation": errors.to_dict(),
            "distance_range": self.distance_range,
            "domain": self.domain.to_dict(),
            "info": self.info,
            "data_sha256": self.digest,
            "n_train": len(self.train),
        }

    def _save(self, errors: Errors) -> None:
        tensors = {
            **{f"network.{k}": v for k, v in self.network.state_dict().items()},
            **{f"average.{k}": v for k, v in self.average.state_dict().items()},
            **optimizer_tensors(self.optimizer),
        }
        save_checkpoint(self.directory / "checkpoint.safetensors", tensors, self._state(errors))

    def _restore(self, path: Path) -> None:
        tensors, state = load_checkpoint(path)
        check_same_config(RunConfig.from_dict(state["config"]), self.config, path)
        if state["data_sha256"] != self.digest:
            raise ValueError(f"{path} was written with other data than {self.config.data.file}")
        for name, module in (("network", self.network), ("average", self.average)):
            module.load_state_dict(module_tensors(tensors, name))
        restore_optimizer(self.optimizer, tensors)
        self.step, self.best = state["step"], state["best"]
        self.stale, self.seconds = state["stale"], state["seconds"]
        forget_after(self.metrics, self.step)
