"""What every paradigm's batches share: one item a step, and each device's share of it."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from ostinato.loading.batches import Batch, CropSettings
from ostinato.loading.tokens import Split, TokenSet
from ostinato.seeds import seed_of
from ostinato.training.settings import Settings

VALIDATED = 1000  # pieces of the split `valid` at most, so that validation does not grow with it


def with_some_of_valid(tokens: TokenSet, most: int = VALIDATED) -> TokenSet:
    """The same encoding with at most `most` pieces of the split `valid`, drawn by their names."""
    part = tokens.splits["valid"]
    if len(part) <= most:
        return tokens
    ranked = sorted(range(len(part)), key=lambda n: (seed_of("valid", str(part.piece[n])), n))
    kept = np.sort(np.array(ranked[:most]))
    columns = {f.name: getattr(part, f.name) for f in fields(Split) if f.name != "tokens"}
    chosen = Split(tokens=part.tokens, **{name: value[kept] for name, value in columns.items()})
    return replace(tokens, splits={**tokens.splits, "valid": chosen})


class StepSampler(Sampler[int]):
    """The numbers of the steps between two validations, from the current step on.

    `position` is called whenever such a stretch begins: Lightning's epoch counter is not yet
    restored when it opens the first iterator after a resume. A step has `parts` numbers, one after
    the other.
    """

    def __init__(self, steps: int, parts: int, position: Callable[[], int]) -> None:
        self.steps, self.parts, self.position = steps, parts, position

    def __iter__(self) -> Iterator[int]:
        start = self.position()
        return iter(range(start * self.parts, (start + self.steps) * self.parts))

    def __len__(self) -> int:
        return self.steps * self.parts


class EncodingModule(pl.LightningDataModule):
    """Batches of an encoding; a paradigm has `training_set` and `validation_set`."""

    def __init__(self, tokens: TokenSet, settings: Settings) -> None:
        super().__init__()
        self.tokens = with_some_of_valid(tokens)
        self.crops = CropSettings(
            batch=settings.training.batch,
            crop=settings.training.crop,
            transpose=settings.training.transpose,
            bucket_by_length=settings.training.bucket_by_length,
            seed=seed_of("crops", settings.seed),
        )
        self.stretch = settings.training.validate_every

    @abstractmethod
    def training_set(self, rank: int, world: int, parts: int) -> Dataset[Batch]:
        """Item `step * parts + part` is one of `parts` equal shares of what a device of `world` has
        of the global batch of that step; a function of (seed, item) alone.
        """

    @abstractmethod
    def validation_set(self) -> Sequence[Any]:
        """Batches of the split `valid`."""

    def train_dataloader(self) -> DataLoader[Batch]:
        """One item is one batch, or a part of one; the order depends on the step alone."""
        trainer = self.trainer
        assert trainer is not None
        rank, parts = trainer.global_rank, trainer.accumulate_grad_batches
        batches = self.training_set(rank, trainer.world_size, parts)
        # own generator: otherwise the loader draws its base seed from the global one, once more
        # on the first epoch after a resume than without it
        generator = torch.Generator().manual_seed(0)
        steps = StepSampler(self.stretch, parts, lambda: trainer.global_step)
        return DataLoader(batches, batch_size=None, sampler=steps, generator=generator)

    def val_dataloader(self) -> DataLoader[Any]:
        """This device's share of the batches. Every device has as many, because weights that are
        shared must be gathered by all of them at once; see `counts`.
        """
        batches = self.validation_set()
        rank, world = self._place()
        self.validated = len(batches)
        mine = [min(n + rank, len(batches) - 1) for n in range(0, len(batches), world)]
        return DataLoader(Subset(batches, mine), batch_size=None)  # type: ignore[arg-type]

    def counts(self, number: int) -> bool:
        """Whether a batch of this device's share is its own; else another device counts it."""
        rank, world = self._place()
        return number * world + rank < self.validated

    def _place(self) -> tuple[int, int]:
        """The number of this device, and how many there are."""
        trainer = self.trainer
        assert trainer is not None
        return trainer.global_rank, trainer.world_size
