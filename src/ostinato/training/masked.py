"""What masked families learn: hidden cells given the others; a bound in nats per cell."""

# B batch, T positions, W columns

from typing import cast

import torch
from torch import Tensor

from ostinato.loading.batches import Batch
from ostinato.models.masked.absorbing import Model
from ostinato.models.masked.parts.blocks import block_lots
from ostinato.models.masked.parts.bound import bound_of
from ostinato.training.grids import Data
from ostinato.training.module import Training

__all__ = ("Data", "Module")

DRAWS = 4  # of a validation


class Module(Training):
    """The bound of crops, with shares of hidden cells spread evenly over a batch."""

    def loss(self, batch: Batch) -> Tensor:
        """Nats of voices, and of bar lines, which are learned on whole pieces."""
        model = cast(Model, self.model)
        rows_BTW, start_B = batch["targets"], batch["start"]
        size = len(rows_BTW)
        spread_B = (torch.randperm(size) + torch.rand(size)) / size
        skew = model.config.skew
        shares_B = (1 - spread_B**skew).to(rows_BTW.device)
        weights_B = (skew * spread_B ** (skew - 1)).to(rows_BTW.device)
        given = model.given(batch["conditions"])
        shape = (size, rows_BTW.shape[1], len(model.columns_V))
        lots_BTW = block_lots(*shape, model.config.blocks).to(rows_BTW.device)
        nats_BTW = model.bound(rows_BTW, shares_B, start_B, given, lots_BTW=lots_BTW)
        return (nats_BTW * weights_B[:, None, None]).sum() + model.bar_loss(batch)

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The bound of whole pieces, under their conditions."""
        rows_BTW, codes_BK = batch
        average = cast(Model, self.average)
        nats = bound_of(average, rows_BTW, average.given(codes_BK), draws=DRAWS)
        return {"nats": nats, "target": rows_BTW}
