"""Whole bar columns beside crops, for models that learn bar lines and ends on their own."""

import numpy as np
import torch

from ostinato.loading.batches import Batch, Crops
from ostinato.loading.tokens import Split
from ostinato.models.spec import PAD
from ostinato.seeds import seed_of


class WithBarColumns(torch.utils.data.Dataset[Batch]):
    """Batches of `crops` with `bars`, (b, T): the bar columns of as many whole pieces, drawn anew
    for each batch.
    """

    def __init__(self, crops: Crops, split: Split, column: int, seed: int) -> None:
        self._crops, self._split, self._column, self._seed = crops, split, column, seed

    def __getitem__(self, index: int) -> Batch:
        """A function of (seed, index) alone."""
        batch = self._crops[index]
        random = np.random.default_rng(seed_of("bar columns", self._seed, index))
        numbers = random.integers(len(self._split), size=len(batch["start"])).tolist()
        columns = [self._split.tokens_of(number)[:, self._column] for number in numbers]
        padded = np.full((len(columns), max(map(len, columns))), PAD, np.int64)
        for row, column in zip(padded, columns, strict=True):
            row[: len(column)] = column
        return batch | {"bars": torch.from_numpy(padded)}
