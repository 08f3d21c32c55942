"""Layers that transformers share: projections as plain matrices, norms, and feed-forward
activations.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-5
NormStep = Callable[[Tensor], Tensor]


def matrix(inputs: int, outputs: int, gain: float = 1.0) -> nn.Parameter:
    """A projection, (inputs, outputs); multiplies single rows faster than nn.Linear's layout.

    A module that holds several side by side says how many: `side_by_side = {"qkv": 3}`, for
    training.muon.
    """
    return nn.Parameter(torch.randn(inputs, outputs) * gain * inputs**-0.5)


# modules by their names in a config; their only weight is `weight`. NORM_STEPS makes functions of
# a row from that weight, which avoid the overhead of modules
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "layer": partial(nn.LayerNorm, eps=EPSILON, bias=False),
    "rms": partial(nn.RMSNorm, eps=EPSILON),
}


def layer_norm(weight_D: Tensor) -> NormStep:
    """Normalize to mean 0 and standard deviation 1, then scale (Ba 2016, without the shift)."""
    return partial(F.layer_norm, normalized_shape=weight_D.shape, weight=weight_D, eps=EPSILON)


def rms_norm(weight_D: Tensor) -> NormStep:
    """Normalize to a mean square of 1, then scale (Zhang & Sennrich 2019).

    x w / √(mean x² + ε) = x · w √D / √(|x|² + D ε): four operations, half as many as F.rms_norm on
    a CPU (torch 2.13), which matters for single rows.
    """
    scale_D = weight_D * len(weight_D) ** 0.5
    floor = weight_D.new_tensor((len(weight_D) * EPSILON) ** 0.5)

    def norm(x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x * scale_D / torch.hypot(length, floor)

    return norm


NORM_STEPS = {"layer": layer_norm, "rms": rms_norm}


def squared_relu(x: Tensor) -> Tensor:
    """max(x, 0)² (So 2021)."""
    if not torch.is_grad_enabled():  # avoids the overhead of the autograd function
        positive = x.relu()
        return positive * positive
    result: Tensor = SquaredReLU.apply(x)  # type: ignore[no-untyped-call]
    return result


class SquaredReLU(torch.autograd.Function):
    """max(x, 0)² with a backward pass of one product instead of four passes over memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """max(x, 0)²; saves the positive part."""
        positive = x.relu()
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """2 max(x, 0) times the gradient."""
        (positive,) = ctx.saved_tensors
        return (gradient * positive).mul_(2)


def swiglu(x: Tensor) -> Tensor:
    """SiLU of the first half times the second (Shazeer 2020)."""
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


# by their names in a config: the activation, the columns of the first projection per row of the
# second, and the inner width relative to squared_relu with as many weights
FEED_FORWARDS: dict[str, tuple[Callable[[Tensor], Tensor], int, float]] = {
    "squared_relu": (squared_relu, 1, 1.0),
    "swiglu": (swiglu, 2, 2 / 3),
}
