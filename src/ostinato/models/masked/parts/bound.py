"""The bound of whole pieces, with fixed draws."""

# B batch, T positions, W columns, V voices

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ostinato.models.grids.parts.voices import SEED, fixed_draws
from ostinato.models.spec import Given

if TYPE_CHECKING:
    from ostinato.models.masked.absorbing import Model


def bound_of(
    model: "Model", rows_BTW: Tensor, given: Given | None, *, draws: int, seed: int = SEED
) -> Tensor:
    """Nats of every column of whole pieces, (B, T, W), 0 where it is PAD; differentiable.

    The mean of `draws` estimates whose shares of hidden cells are spread evenly over (0, 1]. The
    bar column is exact. The same pieces in the same batch always get the same number.
    """
    batch, device = len(rows_BTW), rows_BTW.device
    start_B = torch.zeros(batch, dtype=torch.long, device=device)
    total_BTV = torch.zeros(*rows_BTW.shape[:2], len(model.columns_V), device=device)
    with fixed_draws(device, seed):
        for draw in range(draws):
            shares_B = 1 - (draw + torch.rand(batch, device=device)) / draws
            total_BTV = total_BTV + model.bound(rows_BTW, shares_B, start_B, given).float() / draws
    return model.with_bars(total_BTV, rows_BTW)
