"""Means whose states are sums, so that the processes of a distributed run can add them up.

torchmetrics' Perplexity needs the logits of one softmax per position, while a family here returns
nats for each sub-token of a chain; its MeanMetric is used where pieces are few, and not for tokens:
it adds in 32 bits, too few for hundreds of millions of them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.aggregation import MeanMetric

from ostinato.metrics.features import FEATURES
from ostinato.music.piece import Piece


class NatsPerToken(Metric):
    """Mean nats of the scored sub-tokens; exp of it is their perplexity. NaN before any was scored.

    Sums in 64 bits, which Apple's GPUs do not have: keep it on the CPU there.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False
    nats: Tensor
    count: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, nats: Tensor, scored: Tensor, pad: int = -1) -> None:
        """Add sub-tokens; `scored` is a mask, or the targets, of which `pad` is not scored."""
        if nats.shape != scored.shape:
            raise ValueError(
                f"nats {tuple(nats.shape)} and scored {tuple(scored.shape)} must agree in shape"
            )
        mask = scored if scored.dtype == torch.bool else scored != pad
        self.nats += torch.where(mask, nats.detach().double(), 0.0).sum()
        self.count += mask.sum()

    def compute(self) -> Tensor:
        """Nats per scored sub-token, a 64-bit scalar."""
        return self.nats / self.count


class FeatureMean(MeanMetric):
    """Mean of one of FEATURES over the pieces that define it; NaN if none does."""

    def __init__(self, feature: str, **options: Any) -> None:
        if feature not in FEATURES:
            raise ValueError(f"unknown feature {feature!r}; known: {', '.join(FEATURES)}")
        super().__init__(nan_strategy="ignore", **options)
        self.feature = feature

    def update(self, pieces: Sequence[Piece]) -> None:
        """Add pieces."""
        function = FEATURES[self.feature].function
        super().update(torch.tensor([function(piece) for piece in pieces], device=self.device))
