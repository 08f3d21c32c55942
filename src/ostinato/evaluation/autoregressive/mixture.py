"""Several models as one: the mean of their probabilities, sub-token by sub-token.

p(x_k | past) = 1/M Σ_m p_m(x_k | past) is a distribution again, so the mixture has an exact
likelihood like its members; by Jensen's inequality it is never worse than the mean of theirs.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ostinato.evaluation.likelihood.autoregressive import Scorer
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.spec import PAD, Given


class Mixture:
    """Models of one representation that predict sub-tokens in one order; a Scorer.

    Raises:
        ValueError: no model, or models that differ in shape or order.
    """

    kind: Literal["exact", "bound"] = "exact"

    def __init__(self, models: Sequence[Autoregressive]) -> None:
        if not models:
            raise ValueError("a mixture needs at least one model")
        for model in models[1:]:
            mine, theirs = described(models[0]), described(model)
            if mine != theirs:
                raise ValueError(f"models of a mixture must agree: {mine} and {theirs}")
        self.models = list(models)
        self.shape, self.order = models[0].shape, models[0].order

    def eval(self) -> "Mixture":
        """Without dropout."""
        for model in self.models:
            model.eval()
        return self

    def score(self, tokens_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every sub-token of whole pieces, 0 where it is PAD; shape (B, T, W)."""
        scorers = map(Scorer, self.models)
        nats_MBTW = torch.stack([scorer.score(tokens_BTW, given) for scorer in scorers])
        mixed_BTW = math.log(len(self.models)) - torch.logsumexp(-nats_MBTW, dim=0)
        return torch.where(tokens_BTW == PAD, 0.0, mixed_BTW)

    def predict(self, tokens_BTW: Tensor, given: Given | None = None) -> tuple[Tensor, None]:
        """As `score`; the most probable values would need the logits of all members at once."""
        return self.score(tokens_BTW, given), None

    def start(self, batch: int, length: int) -> list[Any]:
        """The members' states."""
        return [model.start(batch, length) for model in self.models]

    def next_logits(self, states: list[Any]) -> Tensor:
        """Log of the mean probability, shape (B, V)."""
        logits = [
            model.next_logits(state) for model, state in zip(self.models, states, strict=True)
        ]
        logs_MBV = torch.stack(logits).log_softmax(dim=-1)
        return torch.logsumexp(logs_MBV, dim=0) - math.log(len(self.models))

    def push(self, states: list[Any], subtoken_B: Tensor) -> None:
        """Append one sub-token to every sequence of every member."""
        for model, state in zip(self.models, states, strict=True):
            model.push(state, subtoken_B)


Predictor = Autoregressive | Mixture  # has an exact likelihood, and steps to check it by


def described(model: Autoregressive) -> str:
    """What the models of a mixture must have in common."""
    shape = model.shape
    return f"width={shape.width}, vocabulary={shape.vocabulary}, order={list(model.order)}"
