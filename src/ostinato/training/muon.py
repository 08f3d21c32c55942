"""Muon (Jordan 2024, kellerjordan.github.io/posts/muon): orthogonalized momentum for the matrices
inside a network's layers, AdamW for all else.

torch.optim.Muon rounds to bf16, which processors with AVX2 emulate, and takes a matrix as a whole.
Here queries, keys and values, which one parameter holds side by side, are matrices of their own.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.training.shards import own_share, whole

MOMENTUM = 0.95
MUON_DECAY = 0.1  # of orthogonal groups, times their rate
STEPS = 5
A, B, C = 3.4445, -4.7750, 2.0315  # of the polynomial, as Jordan found them


class Muon(torch.optim.AdamW):
    """AdamW; groups with `orthogonal: True` are matrices that take orthogonalized steps instead.

    B_t = 0.95 B_{t-1} + G_t;  W_t = (1 - lr decay) W_{t-1} - lr s O(G_t + 0.95 B_t),
    s = √(longer side / shorter side), O: the nearest semi-orthogonal matrix, roughly.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the gradients of orthogonal groups are used up."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group.get("orthogonal"):
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._move(weight, group["lr"], group["weight_decay"])
                        weight.grad = None  # AdamW leaves weights without a gradient as they are
        super().step()
        return loss

    def _move(self, weight: Tensor, lr: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())  # AdamW wants one of every weight
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].mul_(MOMENTUM).add_(weight.grad)
        ahead = whole(weight.grad.add(momentum, alpha=MOMENTUM))  # type: ignore[union-attr]
        parts = ahead.chunk(getattr(weight, "side_by_side", 1), dim=1)
        scale = math.sqrt(max(parts[0].shape) / min(parts[0].shape))
        step = torch.cat([orthogonal(part) for part in parts], dim=1)
        own, step = own_share(weight, step)
        own.mul_(1 - lr * decay).add_(step, alpha=-lr * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with singular values near 1 (0.7 to 1.2) and the singular vectors of `matrix`, (M,
    N), by Newton-Schulz iteration: X ← a X + (b XXᵀ + c (XXᵀ)²) X.
    """
    x = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(STEPS):
        square = x @ x.mT
        x = A * x + (B * square + C * (square @ square)) @ x
    return x.mT if matrix.shape[0] > matrix.shape[1] else x


def layer_matrices(model: nn.Module, modules: Iterable[str]) -> list[nn.Parameter]:
    """The matrices in the submodules `modules` of a model, by the names of its attributes.

    Raises:
        ValueError: a name without matrices.
    """
    found = []
    for name in modules:
        own = [
            weight
            for path, weight in model.named_parameters()
            if name in path.split(".")[:-1] and weight.ndim == 2
        ]
        if not own:
            have = sorted({p.split(".")[0] for p, w in model.named_parameters() if w.ndim == 2})
            raise ValueError(
                f"optimizer.muon={name!r}: no submodule of this model with that name has matrices; "
                f"those that have are {', '.join(have)}"
            )
        found += own
    return found
