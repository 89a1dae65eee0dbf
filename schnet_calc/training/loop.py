"""The training run: a state that can stop after any step and go on as if it had not."""

import copy
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from schnet_calc.analysis.errors import Errors
from schnet_calc.device import choose_device
from schnet_calc.folders import locked
from schnet_calc.guard.domain import Domain
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.nn import SchNet, make_network, upgraded_weights
from schnet_calc.training.atomic_energies import fit_atomic_energies
from schnet_calc.training.batches import Batches, TrainingBatch
from schnet_calc.training.checkpoint import (
    Due,
    load_checkpoint,
    module_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from schnet_calc.training.config import RunConfig
from schnet_calc.training.distributed import join_world, local_device
from schnet_calc.training.flat import FlatWeights
from schnet_calc.training.heads import scale_heads, with_heads
from schnet_calc.training.interruption import Interruptions
from schnet_calc.training.log import append_row, forget_after
from schnet_calc.training.loss import learning_rate, loss_function, terms
from schnet_calc.training.metrics import compare
from schnet_calc.training.predict import Predict, explicit_predictor, predict_autograd
from schnet_calc.training.prefetch import Ahead
from schnet_calc.training.setup import (
    check_same_config,
    choose_split,
    make_optimizer,
    read_data,
    start_from,
    training_frames,
)
from schnet_calc.training.subnormals import no_subnormals


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
        self.frames = read_data(config)
        self.config = config = with_heads(config, self.frames)
        self._prepare_data(checkpoint.exists())
        self._prepare_network()
        if training.start_from and not checkpoint.exists():
            start_from(training.start_from, self.network, self.optimizer)
        self.average = copy.deepcopy(self.network)
        self._averages = FlatWeights(self.average).values
        self.average.requires_grad_(False)
        self.step, self.stale = 0, 0
        self.best, self.seconds, self.constant = math.inf, 0.0, 0.0
        self.errors = Errors({})
        """Of the last validation."""
        self._loss = [0.0, 0.0]  # sum and number since then
        if checkpoint.exists():
            self._restore(checkpoint)

    def _prepare_data(self, resumed: bool) -> None:
        config, frames = self.config, self.frames
        split = choose_split(config, frames, self.directory, resumed) if self.world.first else None
        self.split = self.world.tell(split)
        train = frames.select(training_frames(config, self.split))
        self.references = fit_atomic_energies(train, config.training.reference)
        validation = frames.select(self.split.validation)
        missing = sorted(set(validation.elements) - set(self.references))
        if missing:
            raise ValueError(f"elements {missing} occur in validation frames, but in no training frame")
        reach = config.model.reach
        self.train = Batches(train, self.references, reach, self.dtype)
        self.validation = Batches(validation, self.references, reach, self.dtype)
        self.distance_range = self.train.distance_range()
        self.domain = Domain.of(train.structure(k) for k in range(len(train)))
        self.info, self.digest = frames.info, frames.digest()
        variances = {k: float(np.nanvar(x)) for k, x in train.labels.items()}
        self.terms = terms(config.training, variances, train.properties)
        if not self.terms:
            raise ValueError("nothing to train on: all labels have the weight zero")

    def _prepare_network(self) -> None:
        training = self.config.training
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            self.network = make_network(self.config.model)
        scale_heads(self.network, self.train.frames)
        self.network.to(self.device, self.dtype)
        self._weights = FlatWeights(self.network)
        self.optimizer = make_optimizer(training.optimizer, self._weights)
        self.predict, self._ahead = self._predictor(), Ahead(self._batch, self.device)

    def _predictor(self) -> Predict:
        training, model = self.config.training, self.config.model
        network = self.network
        explicit = isinstance(network, SchNet) and model.pooling == "sum"
        if training.gradients == "explicit" and not explicit:
            raise ValueError("gradients = 'explicit' needs a SchNet with pooling = 'sum': use 'auto'")
        if training.gradients == "autograd" or not isinstance(network, SchNet) or not explicit:
            return predict_autograd
        low, high = self.distance_range
        validated = self.validation.distance_range()
        low, high = min(low, validated[0]), max(high, validated[1])
        # Splines coarser than the Gaussians would train another function than the one exported.
        spacing = min(training.spline_spacing, 0.25 * model.width)
        return explicit_predictor(network, SplineGrid.covering(low - 1e-3, high + 1e-3, spacing))

    def run(self, progress: Callable[["Run", Errors | None], None] | None = None) -> None:
        """Train until the last step, or until validation has stopped improving.

        A first SIGINT, SIGTERM or SIGHUP ends after the step that is being made, with a checkpoint.

        Parameters
        ----------
        progress : callable, optional
            Called after every step with this run, and with the errors of a validation where there was one.

        Raises
        ------
        KeyboardInterrupt
            A signal came.
        FloatingPointError
            The loss is no number.
        """
        training = self.config.training
        started, before, due = time.perf_counter(), self.seconds, Due(training.checkpoint_minutes)
        held = locked(self.directory) if self.world.first else nullcontext()
        with held, no_subnormals(), Interruptions() as interruptions:
            while self.step < training.steps and not self._exhausted():
                self._loss = [self._loss[0] + self.make_step(), self._loss[1] + 1]
                self.step += 1
                self.seconds = before + time.perf_counter() - started
                errors = None
                if self.step % training.validate_every == 0 or self.step == training.steps:
                    errors = self._validate()
                elif (interruptions.asked or due()) and self.world.first:
                    self._save()
                if progress is not None:
                    progress(self, errors)
                interruptions.act()

    @property
    def loss(self) -> float:
        """Mean since the last validation."""
        return self._loss[0] / max(self._loss[1], 1)

    def _exhausted(self) -> bool:
        return 0 < self.config.training.patience <= self.stale

    def make_step(self) -> float:
        """Update the weights once; return the loss of the batch before."""
        training = self.config.training
        batch = self._ahead.take(self.step)
        rate = learning_rate(training, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        weights, gradient = self._weights.values, self._weights.gradient
        gradient.zero_()
        loss = loss_function(self.predict(self.network, batch), batch, self.terms)
        loss = loss * (len(batch.counts) / min(training.batch_size, len(self.train)))
        if loss.requires_grad:  # else no structure of the batch has a label
            loss.backward()  # type: ignore[no-untyped-call]
        total = loss.detach()
        self.world.add_up([total, gradient])
        gradient.mul_((training.clip / torch.linalg.vector_norm(gradient)).clamp(max=1.0))
        self.optimizer.step()
        # A young average follows faster, or it would remember the first random weights.
        decay = min(training.ema, (1.0 + self.step) / (10.0 + self.step))
        self._averages.lerp_(weights, 1.0 - decay)
        value = float(total)  # last: a GPU is waited for once in a step
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {self.step}: lower the learning rate ({rate:.1e})"
            )
        return value

    def _batch(self, step: int) -> TrainingBatch:
        """The frames of a step: every epoch has its own order, known from the seed alone."""
        size = min(self.config.training.batch_size, len(self.train))
        per_epoch = len(self.train) // size
        epoch, position = divmod(step, per_epoch)
        if getattr(self, "_epoch", None) != epoch:
            rng = np.random.default_rng([self.config.training.seed, epoch])
            self._epoch, self._order = epoch, rng.permutation(len(self.train))
        return self.train.batch(self.world.share(self._order[position * size : (position + 1) * size]))

    def _validate(self) -> Errors:
        """Errors and the count of stale checks, on all processes; the first computes and writes them."""
        if self.world.first:
            self._errors_and_files()
        told: Errors
        told, self.stale = self.world.tell((self.errors, self.stale))
        return told

    def _errors_and_files(self) -> None:
        training = self.config.training
        how = (self.predict, self.terms, training.n_validate, self.device)
        named = {term.name for term in self.terms}
        if "forces" in named and "energy" not in named and "energy" in self.train.labels:
            # Forces say nothing of the energy's constant: fit it to the mean (thesis Section 5.3).
            off = compare(self.average, self.train, *how)
            self.constant = float(-off.differences["energy"].sum() / off.n_atoms.sum())
        found = compare(self.average, self.validation, *how)
        self.errors = found.errors(self.constant)
        score = found.score(self.terms, self.constant)
        self.stale += 1
        if score < self.best:
            self.best, self.stale = score, 0
            save_checkpoint(
                self.directory / "best.safetensors",
                {f"average.{k}": v for k, v in self.average.state_dict().items()},
                self._state(),
            )
        rate = learning_rate(training, self.step - 1)
        append_row(self.metrics, self.step, rate, self.loss, self.errors, self.seconds)
        self._loss = [0.0, 0.0]
        self._save()

    def _state(self) -> dict[str, Any]:
        return {
            "config": self.config.to_dict(),
            "step": self.step,
            "best": self.best,
            "stale": self.stale,
            "seconds": self.seconds,
            "loss": self._loss,
            "references": {str(z): e + self.constant for z, e in self.references.items()},
            "validation": self.errors.to_dict(),
            "distance_range": self.distance_range,
            "domain": self.domain.to_dict(),
            "info": self.info,
            "units": {name: self.frames.properties[name].unit for name in self.config.model.heads},
            "data_sha256": self.digest,
            "n_train": len(self.train),
        }

    def _save(self) -> None:
        tensors = {
            **{f"network.{k}": v for k, v in self.network.state_dict().items()},
            **{f"average.{k}": v for k, v in self.average.state_dict().items()},
            **optimizer_tensors(self.optimizer),
        }
        save_checkpoint(self.directory / "checkpoint.safetensors", tensors, self._state())

    def _restore(self, path: Path) -> None:
        tensors, state = load_checkpoint(path)
        check_same_config(RunConfig.from_dict(state["config"]), self.config, path, state["step"])
        if state["data_sha256"] != self.digest:
            raise ValueError(f"{path} was written with other data than {self.config.data.file}")
        for name, module in (("network", self.network), ("average", self.average)):
            module.load_state_dict(upgraded_weights(module_tensors(tensors, name)))
        restore_optimizer(self.optimizer, tensors, path)
        self.step, self.best = state["step"], state["best"]
        self.stale, self.seconds = state["stale"], state["seconds"]
        self._loss = state.get("loss", [0.0, 0.0])
        forget_after(self.metrics, self.step)
