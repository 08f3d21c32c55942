"""Weights that lie in shares on several devices (FSDP2, torch's `fully_shard`).

Every parameter becomes a DTensor that holds its rows of this device; a module's weights are whole
only while it computes. Optimizer, moving average and the norm for clipping work on the shares.
"""

from typing import Any

from torch import Tensor, nn


def shard(model: nn.Module, mesh: Any) -> None:
    """Share a model's weights among the devices of `mesh`, layer by layer, in place.

    A layer is an item of any ModuleList of a family, which is where their depth lies; what is left
    is one more. All are given back after use: the moving average is read between steps.
    """
    from torch.distributed.fsdp import fully_shard

    for part in model.modules():
        if isinstance(part, nn.ModuleList):
            for layer in part:
                if any(True for _ in layer.parameters()):
                    fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)


def whole(value: Tensor) -> Tensor:
    """A weight on the CPU, gathered from all devices where it is shared."""
    full = value.full_tensor() if hasattr(value, "full_tensor") else value
    return full.cpu().contiguous()
