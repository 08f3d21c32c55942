"""What a paradigm's scorer offers: the likelihood of whole pieces.

`evaluation/likelihood/<paradigm>.py` has one, the class `Scorer`, made of (model); where a paradigm
has no likelihood, `Scorer` is None there.
"""

# B batch, T positions, W values of a position

from typing import Literal, Protocol

from torch import Tensor

from ostinato.models.spec import Given


class Scorer(Protocol):
    """Scores pieces with one model."""

    @property
    def kind(self) -> Literal["exact", "bound"]:
        """Of a bound, the true nats are at most what `score` gives."""

    def score(self, batch_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every value of whole pieces, (B, T, W), 0 where it is PAD; differentiable.

        given: codes of all conditions of the encoding; a scorer picks those that its model uses.
        """

    def predict(
        self, batch_BTW: Tensor, given: Given | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """As `score`, and the most probable value of each, given what `score` gives it; None where
        the paradigm or the model has none.
        """
