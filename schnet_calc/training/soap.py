"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (N. Vyas et al., arXiv:2409.11321).

The layers of a SchNet are small square matrices and the labels hold no noise, so training is limited
by curvature: rotating every gradient into the eigenvectors of its own second moments costs a few
products of such matrices and saves most of the steps.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class SOAP(torch.optim.Optimizer):
    """Adam in rotated coordinates for matrices, plain Adam for everything else.

    Parameters
    ----------
    parameters : iterable of Parameter
        What to optimise.
    lr : float
        Learning rate, as for Adam.
    betas : (float, float)
        Decay of the first moments, and of the second moments and the preconditioner.
    eps : float
        Keeps divisions finite.
    frequency : int
        Steps between two updates of the eigenvectors.
    largest : int
        Matrices with a longer side (the embedding) are left to plain Adam.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.99),
        eps: float = 1e-8,
        frequency: int = 20,
        largest: int = 512,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "frequency": frequency, "largest": largest}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient; matrices of one shape are updated together."""
        if closure is not None:
            raise NotImplementedError("SOAP takes no closure")
        for group in self.param_groups:
            shapes = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    shapes[tuple(p.shape)].append(p)
            for shape, parameters in shapes.items():
                rotated = len(shape) == 2 and min(shape) > 1 and max(shape) <= group["largest"]
                self._update(parameters, group, rotated)

    def _update(self, parameters: list[Tensor], group: dict[str, Any], rotated: bool) -> None:
        gradient = torch.stack([p.grad for p in parameters if p.grad is not None])
        states = [self.state[p] for p in parameters]
        if not states[0]:
            for state, g in zip(states, gradient, strict=True):
                state.update(_first_state(g, rotated))
        moments = {k: torch.stack([s[k] for s in states]) for k in states[0] if k != "step"}
        count = int(states[0]["step"]) + 1
        beta1, beta2 = group["betas"]
        if rotated:
            moments["left"].lerp_(gradient @ gradient.mT, 1 - beta2)
            moments["right"].lerp_(gradient.mT @ gradient, 1 - beta2)
            if count == 1 or count % group["frequency"] == 0:
                self._turn(moments, first=count == 1)
        bases = (moments["q_left"], moments["q_right"]) if rotated else None
        moments["mean"].lerp_(gradient, 1 - beta1)
        moments["square"].lerp_(_into(gradient, bases) ** 2, 1 - beta2)
        scale = (moments["square"] / (1 - beta2**count)).sqrt_().add_(group["eps"])
        update = _out_of(_into(moments["mean"], bases) / scale, bases) / (1 - beta1**count)
        for n, (p, state) in enumerate(zip(parameters, states, strict=True)):
            p.sub_(update[n], alpha=group["lr"])
            for key, value in moments.items():
                state[key].copy_(value[n])
            state["step"] += 1

    @staticmethod
    def _turn(moments: dict[str, Tensor], first: bool) -> None:
        """Bring the eigenvectors up to date: exactly at first, by a step of power iteration later."""
        for side, basis in (("left", "q_left"), ("right", "q_right")):
            if first:
                moments[basis] = torch.linalg.eigh(moments[side]).eigenvectors.flip(-1)
            else:
                moments[basis] = torch.linalg.qr(moments[side] @ moments[basis]).Q


def _first_state(gradient: Tensor, rotated: bool) -> dict[str, Tensor]:
    state = {
        "step": torch.zeros(()),
        "mean": torch.zeros_like(gradient),
        "square": torch.zeros_like(gradient),
    }
    if rotated:
        for name, size in zip(("left", "right"), gradient.shape, strict=True):
            state[name] = gradient.new_zeros(size, size)
            state[f"q_{name}"] = torch.eye(size, dtype=gradient.dtype, device=gradient.device)
    return state


def _into(x: Tensor, bases: tuple[Tensor, Tensor] | None) -> Tensor:
    return x if bases is None else bases[0].mT @ x @ bases[1]


def _out_of(x: Tensor, bases: tuple[Tensor, Tensor] | None) -> Tensor:
    return x if bases is None else bases[0] @ x @ bases[1].mT
