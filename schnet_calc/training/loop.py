"""The training run: a state that can stop after any step and go on as if it had not."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from schnet_calc.analysis.errors import Errors
from schnet_calc.data import Frames, Split
from schnet_calc.device import choose_device
from schnet_calc.folders import locked
from schnet_calc.interruption import Interruptions
from schnet_calc.nn import Network
from schnet_calc.training.batches import Ahead, TrainingBatch
from schnet_calc.training.checkpoint import Due, load_checkpoint, save_checkpoint
from schnet_calc.training.config import RunConfig
from schnet_calc.training.distributed import join_world, local_device
from schnet_calc.training.loss import learning_rate
from schnet_calc.training.optimisation import Optimisation
from schnet_calc.training.progress import Progress, append_row, forget_after
from schnet_calc.training.run_data import RunData
from schnet_calc.training.setup import check_same_config
from schnet_calc.training.subnormals import no_subnormals
from schnet_calc.training.validation import validate

DIVERGED = 25.0
"""Times the best validation loss: errors are five times what they were."""
logger = logging.getLogger("schnet_calc")


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
        training = config.training
        if training.threads:
            torch.set_num_threads(training.threads)
        self.device = choose_device(local_device(training.device))
        self.world = join_world(self.device, training.batch_size)
        checkpoint = self.directory / "checkpoint.safetensors"
        going_on = checkpoint.exists()
        if going_on and not resume:
            raise FileExistsError(
                f"{self.directory} holds a training run already; resume it or choose another folder"
            )
        self.data = RunData.prepare(config, self.directory, self.world, going_on)
        self.optimisation = Optimisation(self.data, self.device, fresh=not going_on)
        self.progress = Progress()
        self._ahead = Ahead(self._batch, self.device)
        if going_on:
            self._restore(checkpoint)

    @property
    def config(self) -> RunConfig:
        """The configuration, with a head for every label that needs one."""
        return self.data.config

    @property
    def frames(self) -> Frames:
        """All frames of the data file."""
        return self.data.frames

    @property
    def split(self) -> Split:
        """Which of them are trained on, validated and tested."""
        return self.data.split

    @property
    def network(self) -> Network:
        """The network under training; its average over the steps is what is exported."""
        return self.optimisation.network

    @property
    def step(self) -> int:
        """Updates of the weights so far."""
        return self.progress.step

    @property
    def seconds(self) -> float:
        """Seconds of training so far, earlier parts of the run included."""
        return self.progress.seconds

    @property
    def loss(self) -> float:
        """Mean since the last validation."""
        return self.progress.loss

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
        training, now = self.config.training, self.progress
        started, before, due = time.perf_counter(), now.seconds, Due(training.checkpoint_minutes)
        held = locked(self.directory) if self.world.first else nullcontext()
        with held, no_subnormals(), Interruptions() as interruptions:
            while now.step < training.steps and not 0 < training.patience <= now.stale:
                self.make_step()
                now.seconds = before + time.perf_counter() - started
                errors = None
                if now.step % training.validate_every == 0 or now.step == training.steps:
                    errors = self._validate()
                elif (interruptions.asked or due()) and self.world.first:
                    self._save()
                if progress is not None:
                    progress(self, errors)
                interruptions.act()

    def make_step(self) -> float:
        """Update the weights once; return the loss of the batch before."""
        step = self.step
        batch = self._ahead.take(step)
        loss = float(self.optimisation.step(batch, step, self.world))  # a GPU is waited for once in a step
        if not math.isfinite(loss):
            rate = learning_rate(self.config.training, step)
            raise FloatingPointError(
                f"the loss is {loss} at step {step}: lower the learning rate ({rate:.1e})"
            )
        self.progress.add(loss)
        return loss

    def _batch(self, step: int) -> TrainingBatch:
        return self.data.train.batch(self.world.share(self.data.rows(step)))

    def _validate(self) -> Errors:
        """Errors and the count of stale checks, on all processes; the first computes and writes them."""
        now = self.progress
        if self.world.first:
            self._errors_and_files()
        told: Errors
        told, now.stale = self.world.tell((now.errors, now.stale))
        return told

    def _errors_and_files(self) -> None:
        data, fit, now = self.data, self.optimisation, self.progress
        training = self.config.training
        how = (fit.predict, data.terms, training.n_validate, self.device)
        named = {term.name for term in data.terms}
        if "forces" in named and "energy" not in named and "energy" in data.train.labels:
            # Forces say nothing of the energy's constant: fit it to the mean (thesis Section 5.3).
            off = validate(fit.average, data.train, *how)
            now.constant = float(-off.differences["energy"].sum() / off.n_atoms.sum())
        found = validate(fit.average, data.validation, *how)
        now.errors = found.errors(now.constant)
        score, rate = found.score(data.terms, now.constant), learning_rate(training, now.step - 1)
        if now.improved(score):
            save_checkpoint(self.directory / "best.safetensors", fit.averages(), self._state())
        elif score > DIVERGED * now.best > 0.0:
            logger.warning(
                "the validation loss is %.0f times its best: the training diverges; "
                "lower learning_rate (%.1e at this step) or clip (%g)",
                score / now.best,
                rate,
                training.clip,
            )
        append_row(self._metrics, now.step, rate, now.loss, now.errors, now.seconds)
        now.loss_sum, now.loss_steps = 0.0, 0
        self._save()

    @property
    def _metrics(self) -> Path:
        return self.directory / "metrics.csv"

    def _state(self) -> dict[str, Any]:
        references = {str(z): e + self.progress.constant for z, e in self.data.references.items()}
        whole = {"config": self.config.to_dict(), "references": references}
        return {**whole, **self.data.to_dict(), **self.progress.to_dict()}

    def _save(self) -> None:
        path = self.directory / "checkpoint.safetensors"
        save_checkpoint(path, self.optimisation.tensors(), self._state())

    def _restore(self, path: Path) -> None:
        tensors, state = load_checkpoint(path)
        check_same_config(RunConfig.from_dict(state["config"]), self.config, path, state["step"])
        if state["data_sha256"] != self.data.digest:
            raise ValueError(f"{path} was written with other data than {self.config.data.file}")
        self.optimisation.restore(tensors, str(path))
        self.progress = Progress.from_dict(state)
        forget_after(self._metrics, self.step)
