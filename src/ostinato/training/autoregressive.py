"""What autoregressive families learn: the next sub-token, mean nats."""

# B batch, T positions, W sub-tokens of a position, K conditions of the encoding

from typing import cast

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from ostinato.loading.batches import Batch, Crops, conditions_of, whole_pieces
from ostinato.metrics.likelihood_metrics import likelihood_metrics
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.training.data import EncodingModule
from ostinato.training.module import Training


class Module(Training):
    """Nats of every sub-token, each given all before it."""

    def loss(self, batch: Batch) -> Tensor:
        """Nats of crops."""
        given = cast(Autoregressive, self.model).given(batch["conditions"])
        nats: Tensor = self.model(batch["inputs"], batch["targets"], batch["start"], given)
        return nats.sum()

    def metrics(self) -> MetricCollection:
        """Nats per token, perplexity and accuracy."""
        return likelihood_metrics(cast(Autoregressive, self.model).shape.vocabulary)

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Nats and most probable sub-tokens of whole pieces, under their conditions."""
        tokens_BTW, codes_BK = batch
        average = cast(Autoregressive, self.average)
        nats, best = average.predict(tokens_BTW, average.given(codes_BK))
        return {"nats": nats, "preds": best, "target": tokens_BTW}


class Data(EncodingModule):
    """Crops for training, whole pieces for validation."""

    def training_set(self, rank: int, world: int, parts: int) -> torch.utils.data.Dataset[Batch]:
        """Random crops, see loading/batches.py."""
        return Crops(self.tokens, self.crops, rank=rank, world=world, parts=parts)

    def validation_set(self) -> list[tuple[Tensor, Tensor]]:
        """Padded batches of whole pieces with the codes of their conditions."""
        part = self.tokens.splits["valid"]
        return [
            (batch, conditions_of(part, numbers))
            for numbers, batch in whole_pieces(self.tokens, "valid")
        ]
