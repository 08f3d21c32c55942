"""Exact likelihoods by the chain rule: one parallel pass over whole pieces."""

# B batch, T positions, W sub-tokens of a position

from typing import Literal

from torch import Tensor

from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.spec import Given


class Scorer:
    """Scores pieces with one model."""

    kind: Literal["exact", "bound"] = "exact"

    def __init__(self, model: Autoregressive) -> None:
        self.model = model

    def score(self, batch_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every sub-token of whole pieces, (B, T, W), 0 where it is PAD."""
        return self.model.score(batch_BTW, self._given(given))

    def predict(self, batch_BTW: Tensor, given: Given | None = None) -> tuple[Tensor, Tensor]:
        """As `score`, and the most probable value of every sub-token."""
        return self.model.predict(batch_BTW, self._given(given))

    def _given(self, given: Given | None) -> Given | None:
        """Of the conditions of the encoding, those that the model uses."""
        codes_BK = given.codes_BC if given else None
        return None if codes_BK is None else self.model.given(codes_BK)
