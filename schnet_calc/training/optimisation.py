"""The weights of a run: the network, its optimiser, and the average over the last steps."""

import copy

import torch
from torch import Tensor

from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.nn import SchNet, make_network, upgraded_weights
from schnet_calc.training.batches import TrainingBatch
from schnet_calc.training.checkpoint import module_tensors, optimizer_tensors, restore_optimizer
from schnet_calc.training.distributed import World
from schnet_calc.training.flat import FlatWeights
from schnet_calc.training.loss import learning_rate, loss_function
from schnet_calc.training.predict import Predict, explicit_predictor, predict_autograd
from schnet_calc.training.run_data import RunData
from schnet_calc.training.setup import make_optimizer, scale_heads, start_from


class Optimisation:
    """A network under training.

    Parameters
    ----------
    data : RunData
        What it learns.
    device : torch.device
        Where.
    fresh : bool
        Take over the weights that the configuration says to start from.
    """

    def __init__(self, data: RunData, device: torch.device, fresh: bool) -> None:
        self.data = data
        config, training = data.config, data.config.training
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            self.network = make_network(config.model)
        scale_heads(self.network, data.train.frames)
        self.network.to(device, getattr(torch, training.dtype))
        self._weights = FlatWeights(self.network)
        self.optimizer = make_optimizer(training.optimizer, self._weights)
        self.predict = self._predictor()
        if training.start_from and fresh:
            start_from(training.start_from, self.network, self.optimizer)
        self.average = copy.deepcopy(self.network)
        """Of the weights over the steps: what is validated and exported."""
        self._averages = FlatWeights(self.average).values
        self.average.requires_grad_(False)

    def _predictor(self) -> Predict:
        training, model = self.data.config.training, self.data.config.model
        network = self.network
        explicit = isinstance(network, SchNet) and model.pooling == "sum"
        if training.gradients == "explicit" and not explicit:
            raise ValueError("gradients = 'explicit' needs a SchNet with pooling = 'sum': use 'auto'")
        if training.gradients == "autograd" or not isinstance(network, SchNet) or not explicit:
            return predict_autograd
        low, high = self.data.distance_range
        validated = self.data.validation.distance_range()
        low, high = min(low, validated[0]), max(high, validated[1])
        # Splines coarser than the Gaussians would train another function than the one exported.
        spacing = min(training.spline_spacing, 0.25 * model.width)
        return explicit_predictor(network, SplineGrid.covering(low - 1e-3, high + 1e-3, spacing))

    def step(self, batch: TrainingBatch, step: int, world: World) -> Tensor:
        """Update the weights once; return the loss, a scalar, of the batch before, summed over the processes.

        Where the loss is not finite, nothing is updated.

        Parameters
        ----------
        batch : TrainingBatch
            This process's share of the step's frames.
        step : int
            Its number, which rate and average depend on.
        world : World
            The processes that gradients are summed over.
        """
        training = self.data.config.training
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(training, step)
        weights, gradient = self._weights.values, self._weights.gradient
        gradient.zero_()
        loss = loss_function(self.predict(self.network, batch), batch, self.data.terms)
        loss = loss * (len(batch.counts) / self.data.batch_size)
        if loss.requires_grad:  # else no structure of the batch has a label
            loss.backward()  # type: ignore[no-untyped-call]
        total = loss.detach()
        world.add_up([total, gradient])
        gradient.mul_((training.clip / torch.linalg.vector_norm(gradient)).clamp(max=1.0))
        if not bool(torch.isfinite(total)):
            return total  # SOAP's eigenvectors of such gradients are an error of LAPACK
        self.optimizer.step()
        # A young average follows faster, or it would remember the first random weights.
        decay = min(training.ema, (1.0 + step) / (10.0 + step))
        self._averages.lerp_(weights, 1.0 - decay)
        return total

    def averages(self) -> dict[str, Tensor]:
        """Return the averaged weights (...,) by their names in a checkpoint."""
        return {f"average.{k}": v for k, v in self.average.state_dict().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors (...,) that a checkpoint keeps: weights, averages, the optimiser's moments."""
        weights = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        return {**weights, **self.averages(), **optimizer_tensors(self.optimizer)}

    def restore(self, tensors: dict[str, Tensor], path: str) -> None:
        """Put the tensors (...,) of :meth:`tensors`, weights among them, back; ``path`` is for errors.

        Raises
        ------
        ValueError
            The optimiser's moments are of other weights.
        """
        for name, module in (("network", self.network), ("average", self.average)):
            module.load_state_dict(upgraded_weights(module_tensors(tensors, name)))
        restore_optimizer(self.optimizer, tensors, path)
