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
    """AdamW; groups with `orthogonal: n` are matrices that take orthogonalized steps instead, each
    holding n side by side.

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
            if count := group.get("orthogonal"):
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._move(weight, count, group["lr"], group["weight_decay"])
                        weight.grad = None  # AdamW leaves weights without a gradient as they are
        super().step()
        return loss

    def _move(self, weight: Tensor, count: int, lr: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())  # AdamW wants one of every weight
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].mul_(MOMENTUM).add_(weight.grad)
        ahead = whole(weight.grad.add(momentum, alpha=MOMENTUM))  # type: ignore[union-attr]
        parts = ahead.chunk(count, dim=1)
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


def layer_matrices(model: nn.Module, modules: Iterable[str]) -> dict[int, list[nn.Parameter]]:
    """The matrices in the submodules `modules` of a model, by the names of its attributes, under
    the number of projections that each of them holds side by side.

    Raises:
        ValueError: a name without matrices.
    """
    chosen = set(modules)
    found: dict[int, list[nn.Parameter]] = {}
    named, have = set(), set()
    for path, module in model.named_modules():
        for name, weight in module.named_parameters(recurse=False):
            if weight.ndim == 2 and path:
                have.add(path.split(".")[0])
                if within := chosen & set(path.split(".")):
                    named |= within
                    count = getattr(module, "side_by_side", {}).get(name, 1)
                    found.setdefault(count, []).append(weight)
    if chosen - named:
        raise ValueError(
            f"optimizer.muon={sorted(chosen - named)}: no submodule of this model with such a name "
            f"has matrices; those that have are {', '.join(sorted(have))}"
        )
    return found
