"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (N. Vyas et al., arXiv:2409.11321).

The layers of a SchNet are small square matrices and the labels hold no noise, so training is limited
by curvature: rotating every gradient into the eigenvectors of its own second moments costs a few
products of such matrices and saves most of the steps.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from schnet_calc.compat import adam_update
from schnet_calc.kernels.torch.rotated_adam import AdamStep, Eigenvectors, eigenvectors, rotated_adam

SAMPLE = 5
"""Steps between two gradients that go into the preconditioner."""


class SOAP(torch.optim.Optimizer):
    """Adam in rotated coordinates for matrices, plain Adam for everything else.

    Parameters
    ----------
    parameters : iterable of Tensor
        What to optimise; three dimensions are a stack of matrices of one shape.
    lr : float
        Learning rate, as for Adam.
    betas : (float, float)
        Decay of the first moments, and of the second moments and the preconditioner.
    eps : float
        Keeps divisions finite.
    frequency : int
        Steps between two updates of the eigenvectors.
    largest : int
        Matrices with a longer side are left to plain Adam.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.99),
        eps: float = 1e-8,
        frequency: int = 20,
        largest: int = 512,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "frequency": frequency, "largest": largest}
        super().__init__(list(parameters), defaults)
        self._kept: dict[Tensor, Eigenvectors] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        if closure is not None:
            raise NotImplementedError("SOAP takes no closure")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, group)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        rotated = parameter.ndim > 1 and max(parameter.shape[-2:]) <= group["largest"]
        weights = parameter
        if rotated and parameter.ndim == 2:
            weights, gradient = parameter[None], gradient[None]
        if not state:
            state.update(_first_state(gradient, rotated))
        state["step"] += 1
        count, beta2 = int(state["step"]), group["betas"][1]
        moments = state["mean"], state["square"]
        if not rotated:
            weights.add_(adam_update(gradient, *moments, count, group))
            return
        if count % SAMPLE == 1:
            state["left"].lerp_(gradient @ gradient.mT, 1 - beta2**SAMPLE)
            state["right"].lerp_(gradient.mT @ gradient, 1 - beta2**SAMPLE)
        if count % group["frequency"] == 1:
            _turn(state, exactly=count == 1)
        left, right = state["q_left"], state["q_right"]
        if weights.device.type == "cpu":
            turn = self._prepared(parameter, left, right)
            adam = AdamStep(group["lr"], group["betas"], group["eps"], count)
            rotated_adam(weights, gradient, moments, turn, adam)
        else:
            update = adam_update(left.mT @ gradient @ right, *moments, count, group)
            weights.add_(left @ update @ right.mT)

    def _prepared(self, parameter: Tensor, left: Tensor, right: Tensor) -> Eigenvectors:
        """The eigenvectors as compiled loops read them, prepared where they are new."""
        kept = self._kept.get(parameter)
        if kept is None or kept.left is not left or kept.right is not right:
            kept = self._kept[parameter] = eigenvectors(left, right)
        return kept


def _turn(state: dict[str, Tensor], exactly: bool) -> None:
    """Bring the eigenvectors up to date, by a step of power iteration unless exactly; turn the mean too."""
    mean = state["q_left"] @ state["mean"] @ state["q_right"].mT
    for side in ("left", "right"):
        if exactly:
            state[f"q_{side}"] = torch.linalg.eigh(state[side]).eigenvectors.flip(-1).contiguous()
        else:
            state[f"q_{side}"] = torch.linalg.qr(state[side] @ state[f"q_{side}"]).Q.contiguous()
    state["mean"] = state["q_left"].mT @ mean @ state["q_right"]


def _first_state(gradient: Tensor, rotated: bool) -> dict[str, Tensor]:
    state = {
        "step": torch.zeros(()),
        "mean": torch.zeros_like(gradient),
        "square": torch.zeros_like(gradient),
    }
    if rotated:
        for name, size in zip(("left", "right"), gradient.shape[1:], strict=True):
            state[name] = gradient.new_zeros(len(gradient), size, size)
            eye = torch.eye(size, dtype=gradient.dtype, device=gradient.device)
            state[f"q_{name}"] = eye.repeat(len(gradient), 1, 1)
    return state
