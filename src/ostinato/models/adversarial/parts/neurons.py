"""Output neurons that fire or not, with straight-through gradients.

A binary neuron says 1 or 0; its gradient is that of its logistic function (the sigmoid-adjusted
straight-through estimator: Bengio 2013; BinaryMuseGAN: Dong & Yang 2018, section 3.2). A voice
sings one pitch at a time, so its pitches are a group of which exactly one fires, with the gradient
of the softmax; a group of two is one binary neuron.
"""

# C neurons of a group

from typing import Literal

import torch
from torch import Tensor

Kind = Literal["deterministic", "stochastic", "none"]
KINDS = ("deterministic", "stochastic", "none")


def fires(logits: Tensor, kind: Kind, lots: Tensor | None = None) -> Tensor:
    """1 or 0 for each neuron; with `none` its probability.

    deterministic: whether the probability is above 1/2. stochastic: whether it is above `lots`,
    numbers drawn from [0, 1) of the same shape.
    """
    chance = logits.sigmoid()
    if kind == "none":
        return chance
    level = 0.5 if kind == "deterministic" else _drawn(lots)
    return _through((chance > level).to(chance.dtype), chance)


def one_fires(logits_C: Tensor, kind: Kind, lots: Tensor | None = None) -> Tensor:
    """Exactly one of each group in the last dimension; with `none` their probabilities.

    deterministic: the likeliest. stochastic: drawn by `lots`, a number in [0, 1) for each group.
    """
    chances_C = logits_C.softmax(dim=-1)
    if kind == "none":
        return chances_C
    if kind == "deterministic":
        chosen = chances_C.argmax(dim=-1, keepdim=True)
    else:
        sums_C = chances_C.detach().cumsum(dim=-1)
        points = _drawn(lots)[..., None] * sums_C[..., -1:]
        chosen = (sums_C <= points).sum(dim=-1, keepdim=True).clamp(max=logits_C.shape[-1] - 1)
    return _through(torch.zeros_like(chances_C).scatter_(-1, chosen, 1.0), chances_C)


def _through(hard: Tensor, soft: Tensor) -> Tensor:
    """The values of `hard`, bit for bit, with the gradient of `soft`."""
    return hard + (soft - soft.detach())


def _drawn(lots: Tensor | None) -> Tensor:
    if lots is None:
        raise ValueError("stochastic neurons need random numbers in [0, 1)")
    return lots
