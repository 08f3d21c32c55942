"""What every paradigm's batches share: one item a step, and each device's share of it."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ostinato.loading.batches import Batch, CropSettings
from ostinato.loading.tokens import TokenSet
from ostinato.seeds import seed_of
from ostinato.training.settings import Settings


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
        self.tokens = tokens
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
        """Every device scores all of it: it is small, and the number is then exact."""
        return DataLoader(self.validation_set(), batch_size=None)  # type: ignore[arg-type]
