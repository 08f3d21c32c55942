"""Weights that are sharded over several devices (FSDP2, torch's `fully_shard`).

Every parameter becomes a DTensor that holds its rows of this device; a module's weights are whole
only while it computes. Optimizer, moving average and the norm for clipping work on the shares.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist


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
    """A weight, gathered from all devices where it is shared; every device must call it.

    The gather is the plain collective, which returns when it is done. DTensor's `full_tensor()`
    goes through asynchronous functional collectives, and once died there with SIGSEGV (torch 2.13,
    two CPU processes on a loaded machine).
    """
    from torch.distributed.tensor import DTensor

    if not isinstance(value, DTensor):
        return value
    group = value.device_mesh.get_group()
    own = value.to_local().detach()
    padded = own.new_zeros((_rows(value), *value.shape[1:]))
    padded[: len(own)] = own
    shares = [torch.empty_like(padded) for _ in range(dist.get_world_size(group))]
    dist.all_gather(shares, padded, group=group)
    return torch.cat(shares)[: len(value)]


def own_share(weight: Tensor, full: Tensor) -> tuple[Tensor, Tensor]:
    """What this device holds of a weight, and the same rows of `full`, a tensor of its shape."""
    from torch.distributed.tensor import DTensor

    if not isinstance(weight, DTensor):
        return weight, full
    own = weight.to_local()
    start = dist.get_rank(weight.device_mesh.get_group()) * _rows(weight)
    return own, full[start : start + len(own)]


def _rows(weight: Any) -> int:
    """Rows of a share; those of the last devices may be fewer."""
    return -(-len(weight) // dist.get_world_size(weight.device_mesh.get_group()))
