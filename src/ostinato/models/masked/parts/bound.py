"""The bound of whole pieces, with fixed draws."""

# B batch, T positions, W columns

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ostinato.models.spec import Given

if TYPE_CHECKING:
    from ostinato.models.masked.absorbing import Model

SEED = 1


def bound_of(
    model: "Model", rows_BTW: Tensor, given: Given | None, *, draws: int, seed: int = SEED
) -> Tensor:
    """Nats of every column of whole pieces, (B, T, W), 0 where it is PAD; differentiable.

    The mean of `draws` estimates whose shares of hidden cells are spread evenly over (0, 1]. The
    bar column is exact. The same pieces in the same batch always get the same number.
    """
    batch = len(rows_BTW)
    start_B = torch.zeros(batch, dtype=torch.long, device=rows_BTW.device)
    total = torch.zeros(rows_BTW.shape, device=rows_BTW.device)
    with torch.random.fork_rng(devices=[rows_BTW.device] if rows_BTW.is_cuda else []):
        torch.manual_seed(seed)
        for draw in range(draws):
            shares_B = 1 - (draw + torch.rand(batch, device=rows_BTW.device)) / draws
            nats = model.bound(rows_BTW, shares_B, start_B, given)
            total = total.index_add(2, model.columns_W, nats.float() / draws)
    bars_BT = model.bar_nats(rows_BTW)
    if bars_BT is None or model.structure is None:
        return total
    column = torch.tensor([model.structure.bar_column], device=rows_BTW.device)
    return total.index_add(2, column, bars_BT.float()[..., None])
