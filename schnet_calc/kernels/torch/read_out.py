"""The energy's head and its derivative by the features, with their gradients written out.

Left to autograd, the two dozen small operations and their derivatives take longer than a block of the network.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from schnet_calc.nn import SchNet
from schnet_calc.nn.activation import ACTIVATIONS, curvature, slope


class Layer(NamedTuple):
    """What the way back needs of a hidden layer, a = W h + b."""

    h: Tensor
    """What goes in."""
    a: Tensor
    """What comes out, before the activation f."""
    f: Tensor | None
    """f'(a)"""
    p: Tensor | None
    """Derivative of the energy by f(a); None, as the next, if no derivatives were asked for."""
    q: Tensor | None
    """Derivative of the energy by a."""


class Head(NamedTuple):
    """What :func:`head_gradients` needs."""

    activation: str
    weights: Sequence[Tensor]
    layers: list[Layer]
    last: Tensor
    """Behind the last activation."""


def head_weights(network: SchNet) -> list[Tensor]:
    """Return weights (n, m) and biases (n,) of the energy's head, layer after layer, the last in eV."""
    layers = [*cast(list[nn.Linear], list(network.output_hidden)), network.output]
    return [w for layer in layers for w in (layer.weight, layer.bias)]


def read_out(network: SchNet, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return atomic energies (N,), eV, of final features (N, F), and their derivatives (N, F)."""
    activation, weights = network.config.head_activation, head_weights(network)
    found: tuple[Tensor, Tensor] = _ReadOut.apply(x, activation, *weights)
    return found


def head_values(
    x: Tensor, activation: str, weights: Sequence[Tensor], derivatives: bool = True
) -> tuple[Tensor, Tensor | None, Head]:
    """Return energies (N,) of features (N, F), dE/dx (N, F) if derivatives are wanted, and what the way back needs.

    Forwards h' = f(a), a = W h + b, and backwards p = Wᵀ q, q = f'(a) p', from p = w of the last layer.

    Parameters
    ----------
    x : Tensor
        (N, F) features.
    activation : str
        f.
    weights : sequence of Tensor
        W and b of all layers, in turns.
    derivatives : bool
        Whether dE/dx (N, F) is wanted.
    """
    *hidden, (last, bias) = zip(weights[::2], weights[1::2], strict=True)
    function, h, layers = ACTIVATIONS[activation](), x, []
    for w, b in hidden:
        layers.append(Layer(h, torch.addmm(b, h, w.T), None, None, None))
        h = function(layers[-1].a)
    energies = torch.addmv(bias.expand(len(h)), h, last[0])
    p: Tensor | None = None
    if derivatives:
        p = last.expand(len(h), -1)
        for k in reversed(range(len(hidden))):
            f = slope(activation, layers[k].a)
            layers[k] = layers[k]._replace(f=f, p=p, q=f * p)
            p = cast(Tensor, layers[k].q) @ hidden[k][0]
    return energies, p, Head(activation, weights, layers, h)


def head_gradients(
    head: Head, by_energy: Tensor | None, by_p: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    """Return a loss's derivatives by x (N, F) and by the weights from those by energies (N,) and dE/dx (N, F).

    Parameters
    ----------
    head : Head
        From :func:`head_values`.
    by_energy : Tensor or None
        (N,) derivatives of the loss by energies.
    by_p : Tensor or None
        (N, F) by dE/dx.
    """
    activation, weights, layers, h = head
    found = [torch.zeros_like(w) for w in weights]
    by_a_from_p: list[Tensor | None] = [None] * len(layers)
    if by_p is not None:
        for k, (_, a, f, p, q) in enumerate(layers):  # upwards through the derivative
            assert f is not None and p is not None and q is not None  # noqa: PT018
            by_q = by_p @ weights[2 * k].T
            found[2 * k] += q.T @ by_p
            by_a_from_p[k] = curvature(activation, a) * p * by_q
            by_p = f * by_q
        found[-2] += by_p.sum(0)
    by_h = torch.zeros_like(h)
    if by_energy is not None:
        found[-2] += by_energy @ h
        found[-1] += by_energy.sum()
        by_h = torch.outer(by_energy, weights[-2][0])
    for k in reversed(range(len(layers))):  # downwards through the values
        layer, more = layers[k], by_a_from_p[k]
        by_a = (slope(activation, layer.a) if layer.f is None else layer.f) * by_h
        if more is not None:
            by_a = by_a + more
        found[2 * k] += by_a.T @ layer.h
        found[2 * k + 1] += by_a.sum(0)
        by_h = by_a @ weights[2 * k]
    return by_h, found


class _ReadOut(torch.autograd.Function):
    """Features (N, F), weights and biases of all layers to energies (N,) and dE/dx (N, F)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, activation: str, *weights: Tensor) -> tuple[Tensor, Tensor | None]:
        energies, p, ctx.head = head_values(x, activation, weights)
        return energies, p

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, by_energy: Tensor, by_p: Tensor) -> tuple[Tensor | None, ...]:
        by_x, found = head_gradients(ctx.head, by_energy, by_p)
        return by_x, None, *found
