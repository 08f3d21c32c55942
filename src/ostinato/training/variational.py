"""What variational families learn: bars through latent vectors; a bound in nats per cell."""

# B batch, T positions, W columns

from typing import cast

import torch
from torch import Tensor

from ostinato.loading.bar_columns import WithBarColumns
from ostinato.loading.batches import Batch, Crops, conditions_of, whole_pieces
from ostinato.models.variational.parts.bound import bound_of
from ostinato.models.variational.vae import Model
from ostinato.seeds import seed_of
from ostinato.training.data import EncodingModule
from ostinato.training.module import Training

DRAWS = 2  # of a validation


class Module(Training):
    """The bound of crops, with free bits."""

    def loss(self, batch: Batch) -> Tensor:
        """Nats of voices, and of bar lines, which are learned on whole pieces."""
        model = cast(Model, self.model)
        given = model.given(batch["conditions"])
        loss = model.loss(batch["targets"], batch["start"], self.global_step, given)
        return loss + model.bar_lines.nats(batch["bars"]).sum() if model.bar_lines else loss

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The bound of whole pieces, under their conditions."""
        rows_BTW, codes_BK = batch
        average = cast(Model, self.average)
        given = average.given(codes_BK)
        nats = bound_of(average, rows_BTW, given, draws=DRAWS, weighted=False)
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
