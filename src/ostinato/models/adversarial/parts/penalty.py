"""The gradient penalty of WGAN-GP (Gulrajani et al. 2017, equation 3)."""

# B batch

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real_B: Tensor, made_B: Tensor, lots_B: Tensor
) -> Tensor:
    """(‖∇ critic‖ − 1)² at points between real and made ones, (B,); differentiable.

    lots_B: numbers in [0, 1), how far each point is from the made one to the real one.
    """
    share = lots_B.view(-1, *[1] * (real_B.ndim - 1))
    points_B = torch.lerp(made_B.detach(), real_B, share).requires_grad_()
    (slopes_B,) = torch.autograd.grad(critic(points_B).sum(), points_B, create_graph=True)
    norms_B = (slopes_B.flatten(1).square().sum(dim=1) + 1e-12).sqrt()
    return (norms_B - 1).square()
