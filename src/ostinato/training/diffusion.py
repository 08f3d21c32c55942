"""What families of Gaussian diffusion learn: their own losses, see models/diffusion/parts."""

# b rows of a device's part, B rows, T frames, W bands

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from ostinato.loading.batches import Batch, Crops
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.likelihood_metrics import NatsPerToken
from ostinato.models.spec import ArraySpec
from ostinato.training.grids import Data as Grids
from ostinato.training.module import Training
from ostinato.training.settings import Settings

ROWS = 8  # of a validation batch of frames


class Module(Training):
    """Asks the model: `loss(batch)` in training, `validate(batch)` of its average."""

    def __init__(self, model: torch.nn.Module, settings: Settings) -> None:
        super().__init__(model, settings)
        if _is_sound(model):
            self.unit = "squared error of a value"  # type: ignore[misc]

    def metrics(self) -> MetricCollection:
        """Of spectrograms only the mean of their losses, which are no nats."""
        if not _is_sound(self.model):
            return super().metrics()
        return MetricCollection({self.loss_metric: NatsPerToken()})

    def loss(self, batch: Batch) -> Tensor:
        """The sum of the losses of a batch's values."""
        return cast(Any, self.model).loss(batch)

    def validate(self, batch: Any) -> dict[str, Tensor]:
        """`nats` and `target` of a batch of the split `valid`."""
        return cast(Any, self.average).validate(batch)


class Data(Grids):
    """Crops for training, whole pieces for validation."""

    def training_set(self, rank: int, world: int, parts: int) -> torch.utils.data.Dataset[Batch]:
        """Random crops, of grids with whole bar columns."""
        if ArraySpec.of(self.tokens.codec).kind == "mel":
            return Spectrograms(self.tokens, self.crops, rank=rank, world=world, parts=parts)
        return super().training_set(rank, world, parts)

    def validation_set(self) -> list[Any]:
        """Padded batches of whole pieces: with the codes of their conditions, or frames."""
        if ArraySpec.of(self.tokens.codec).kind == "mel":
            return whole_spectrograms(self.tokens, "valid")
        return super().validation_set()


class Spectrograms(Crops):
    """Crops of real numbers, drawn as those of symbols are."""

    def __getitem__(self, index: int) -> Batch:
        """See `framed`; count: values of the whole global batch."""
        step, part = divmod(index, self._parts)
        pieces, draws = self._drawn(step)
        crop, lengths = self._settings.crop, self._split.length[pieces]
        starts = [self._start(draws[row, 0], int(lengths[row])) for row in range(len(pieces))]
        mine = np.arange(part * self._world + self._rank, len(pieces), self._world * self._parts)
        arrays = [
            self._split.tokens_of(pieces[row])[starts[row] : starts[row] + crop] for row in mine
        ]
        values = int(np.minimum(lengths - starts, crop).sum()) * self._split.tokens.shape[1]
        starts_b = torch.tensor([starts[row] for row in mine])
        return framed(arrays, crop) | {"start": starts_b, "count": torch.tensor(values)}


def framed(arrays: list[Any], length: int) -> Batch:
    """`frames` (B, T, W) in 32 bits, 0 after the ends; `held` (B, T): not after an end."""
    frames = np.zeros((len(arrays), length, arrays[0].shape[1]), np.float32)
    held = np.zeros(frames.shape[:2], bool)
    for row, array in enumerate(arrays):
        frames[row, : len(array)], held[row, : len(array)] = array, True
    return {"frames": torch.from_numpy(frames), "held": torch.from_numpy(held)}


def whole_spectrograms(tokens: TokenSet, split: str) -> list[Batch]:
    """A split as batches of `framed` whole pieces of similar length, each with its start, 0."""
    part = tokens.splits[split]
    order = sorted(range(len(part)), key=lambda number: (int(part.length[number]), number))
    groups = [order[first : first + ROWS] for first in range(0, len(order), ROWS)]
    return [
        framed([part.tokens_of(n) for n in group], int(part.length[group].max()))
        | {"start": torch.zeros(len(group), dtype=torch.long)}
        for group in groups
    ]


def _is_sound(model: torch.nn.Module) -> bool:
    return bool(cast(Any, model).shape.kind == "mel")
