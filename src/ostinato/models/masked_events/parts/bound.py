"""The bound of whole pieces in nats, with fixed draws."""

# B batch, T positions

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ostinato.models.grids.parts.voices import SEED, fixed_draws
from ostinato.models.spec import PAD, Given

if TYPE_CHECKING:
    from ostinato.models.masked_events.absorbing_events import Model


def bound_of(
    model: "Model", tokens_BT1: Tensor, given: Given | None, *, draws: int, seed: int = SEED
) -> Tensor:
    """Nats of every token of whole pieces, (B, T, 1), 0 where it is PAD; differentiable.

    The outline is exact. Of the values it is the mean of `draws` estimates whose shares of hidden
    ones are spread evenly over (0, 1]. The same pieces in the same batch always get the same
    number.
    """
    batch, device = len(tokens_BT1), tokens_BT1.device
    start_B = torch.zeros(batch, dtype=torch.long, device=device)
    total_BT = torch.zeros(tokens_BT1.shape[:2], device=device)
    with fixed_draws(device, seed):
        for draw in range(draws):
            shares_B = 1 - (draw + torch.rand(batch, device=device)) / draws
            total_BT = total_BT + model.bound(tokens_BT1, shares_B, start_B, given) / draws
    kinds_BT = model.kinds_of(tokens_BT1[..., 0])
    outline_BT = model.outline.nats(tokens_BT1[..., 0].clamp(min=0), kinds_BT, start_B)
    nats_BT = (total_BT + outline_BT) * (tokens_BT1[..., 0] != PAD)
    return nats_BT[..., None]
