"""What a paradigm's scorer offers: the likelihood of whole pieces.

`evaluation/likelihood/<paradigm>.py` has the function `scorer(model) -> Scorer | None`: None where
the paradigm has no likelihood.
"""

# B batch, T positions, W values of a position

from typing import Literal, Protocol

from torch import Tensor

from ostinato.models.spec import Given


class Scorer(Protocol):
    """Scores pieces with one model."""

    kind: Literal["exact", "bound"]  # a bound: the true nats are at most what `score` says

    def score(self, batch_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every value of whole pieces, (B, T, W), 0 where it is PAD; differentiable."""
