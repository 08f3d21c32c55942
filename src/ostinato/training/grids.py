"""Batches of grids for models that make all voices at once: crops, and whole bar columns."""

from typing import Any

import torch

from ostinato.loading.bar_columns import WithBarColumns
from ostinato.loading.batches import Batch, Crops, conditions_of, whole_pieces
from ostinato.seeds import seed_of
from ostinato.training.data import EncodingModule


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

    def validation_set(self) -> list[Any]:
        """Padded batches of whole pieces with the codes of their conditions."""
        part = self.tokens.splits["valid"]
        return [
            (batch, conditions_of(part, numbers))
            for numbers, batch in whole_pieces(self.tokens, "valid")
        ]
