"""What masked families learn: hidden cells given the others; a bound in nats per cell."""

# B batch, T positions, W columns

from typing import cast

import torch
from torch import Tensor

from ostinato.loading.bar_columns import WithBarColumns
from ostinato.loading.batches import Batch, Crops, conditions_of, whole_pieces
from ostinato.models.masked.absorbing import Model
from ostinato.models.masked.parts.blocks import block_lots
from ostinato.models.masked.parts.bound import bound_of
from ostinato.seeds import seed_of
from ostinato.training.data import EncodingModule
from ostinato.training.module import Training

DRAWS = 4  # of a validation


class Module(Training):
    """The bound of crops, with shares of hidden cells spread evenly over a batch."""

    def loss(self, batch: Batch) -> Tensor:
        """Nats of voices, and of bar lines, which are learned on whole pieces."""
        model = cast(Model, self.model)
        rows_BTW, start_B = batch["targets"], batch["start"]
        size = len(rows_BTW)
        spread_B = (torch.randperm(size) + torch.rand(size)) / size
        shares_B = (1 - spread_B).to(rows_BTW.device)
        given = model.given(batch["conditions"])
        lots_BTW = block_lots(size, rows_BTW.shape[1], len(model.columns_W)).to(rows_BTW.device)
        loss = model.bound(rows_BTW, shares_B, start_B, given, lots_BTW=lots_BTW).sum()
        return loss + model.bar_lines.nats(batch["bars"]).sum() if model.bar_lines else loss

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The bound of whole pieces, under their conditions."""
        rows_BTW, codes_BK = batch
        average = cast(Model, self.average)
        nats = bound_of(average, rows_BTW, average.given(codes_BK), draws=DRAWS)
        return {"nats": nats, "target": rows_BTW}


class Data(EncodingModule):
    """Crops for training, whole pieces for validation."""

    def training_set(self, rank: int, world: int, parts: int) -> torch.utils.data.Dataset[Batch]:
        """Random crops, see loading/batches.py; with whole bar columns where there are any, which
        are other ones for another number of ranks or parts.
        """
        crops = Crops(self.tokens, self.crops, rank=rank, world=world, parts=parts)
        structure = self.tokens.codec.get("structure")
        if not structure:
            return crops
        split, column = self.tokens.splits["train"], structure["bar_column"]
        return WithBarColumns(crops, split, column, seed_of(self.crops.seed, rank))

    def validation_set(self) -> list[tuple[Tensor, Tensor]]:
        """Padded batches of whole pieces with the codes of their conditions."""
        part = self.tokens.splits["valid"]
        return [
            (batch, conditions_of(part, numbers))
            for numbers, batch in whole_pieces(self.tokens, "valid")
        ]
