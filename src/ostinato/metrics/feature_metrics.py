"""The musical features as torchmetrics: means over pieces that processes can add up."""

from collections.abc import Sequence
from typing import Any

import torch
from torchmetrics import MetricCollection
from torchmetrics.aggregation import MeanMetric

from ostinato.metrics.features import FEATURES
from ostinato.music.piece import Piece


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


def feature_metrics() -> MetricCollection:
    """Every feature by its name; call `update(pieces)`."""
    # without compute groups: metrics whose states agree by chance after the first update would
    # share them from then on
    return MetricCollection({name: FeatureMean(name) for name in FEATURES}, compute_groups=False)
