"""Layers that transformers share: projections as plain matrices, norms, and what stands between the
two projections of a feed-forward.
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
    """A projection, (inputs, outputs): so one row multiplies faster than with nn.Linear's order."""
    return nn.Parameter(torch.randn(inputs, outputs) * gain * inputs**-0.5)


# by their names in a config: modules whose only weight is `weight`; below, what makes functions of
# a row from that weight, which spare a step the module's own work
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "layer": partial(nn.LayerNorm, eps=EPSILON, bias=False),
    "rms": partial(nn.RMSNorm, eps=EPSILON),
}


def layer_norm(weight_D: Tensor) -> NormStep:
    """To mean 0 and deviation 1, then scaled (Ba 2016, without its shift)."""
    return partial(F.layer_norm, normalized_shape=weight_D.shape, weight=weight_D, eps=EPSILON)


def rms_norm(weight_D: Tensor) -> NormStep:
    """To a mean square of 1, then scaled (Zhang & Sennrich 2019).

    x w / √(mean x² + ε) = x · w √D / √(|x|² + D ε): four operations where F.rms_norm takes twice as
    many on a CPU (torch 2.13), which a single row feels.
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
    if not torch.is_grad_enabled():  # no need of the function's bookkeeping, which a step feels
        positive = x.relu()
        return positive * positive
    result: Tensor = SquaredReLU.apply(x)  # type: ignore[no-untyped-call]
    return result


class SquaredReLU(torch.autograd.Function):
    """max(x, 0)² with one product where autograd's own backward takes four passes over memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Keeps the positive part."""
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


# by their names in a config: the function between the two projections, how many columns of the
# first give one row of the second, and inner width beside squared_relu's for as many weights
FEED_FORWARDS: dict[str, tuple[Callable[[Tensor], Tensor], int, float]] = {
    "squared_relu": (squared_relu, 1, 1.0),
    "swiglu": (swiglu, 2, 2 / 3),
}
