"""The energy's head and its derivative by the features, with their gradients written out.

Left to autograd, the two dozen small operations and their derivatives take longer than a block of the network.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from schnet_calc.nn import SchNet
from schnet_calc.nn.activation import ACTIVATIONS, curvature, slope


def read_out(network: SchNet, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return atomic energies (N,) of final features (N, F), and their derivatives (N, F)."""
    layers = [*cast(list[nn.Linear], list(network.output_hidden)), network.output]
    weights = [w for layer in layers for w in (layer.weight, layer.bias)]
    found: tuple[Tensor, Tensor] = _ReadOut.apply(x, network.config.head_activation, *weights)
    return found


class _ReadOut(torch.autograd.Function):
    """Features (N, F), weights and biases of all layers to energies (N,) and dE/dx (N, F).

    Forwards h' = f(a), a = W h + b, and backwards p = Wᵀ q, q = f'(a) p', from p = w of the last layer.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, activation: str, *weights: Tensor) -> tuple[Tensor, Tensor]:
        *hidden, (last, bias) = zip(weights[::2], weights[1::2], strict=True)
        function, h, before = ACTIVATIONS[activation](), x, []
        for w, b in hidden:
            before.append((h, torch.addmm(b, h, w.T)))
            h = function(before[-1][1])
        energies = torch.addmv(bias.expand(len(h)), h, last[0])
        p, tape = last.expand(len(h), -1), []
        for (w, _), (inputs, a) in zip(reversed(hidden), reversed(before), strict=True):
            f = slope(activation, a)
            tape.append((inputs, a, f, p, f * p))
            p = tape[-1][-1] @ w
        ctx.kept = activation, weights, tape[::-1], h
        return energies, p

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, by_energy: Tensor, by_p: Tensor) -> tuple[Tensor | None, ...]:
        activation, weights, tape, h = ctx.kept
        found = [torch.zeros_like(w) for w in weights]
        more = []
        for k, (_, a, f, p, q) in enumerate(tape):  # upwards through the derivative
            by_q = by_p @ weights[2 * k].T
            found[2 * k] += q.T @ by_p
            more.append(curvature(activation, a) * p * by_q)
            by_p = f * by_q
        found[-2] += by_p.sum(0) + by_energy @ h
        found[-1] += by_energy.sum()
        by_h = torch.outer(by_energy, weights[-2][0])
        for k in reversed(range(len(tape))):  # downwards through the values
            by_a = torch.addcmul(more[k], tape[k][2], by_h)
            found[2 * k] += by_a.T @ tape[k][0]
            found[2 * k + 1] += by_a.sum(0)
            by_h = by_a @ weights[2 * k]
        return by_h, None, *found
