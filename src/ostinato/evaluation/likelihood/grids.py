"""The common part of scorers whose models make all voices of a grid at once."""

# B batch, T positions, W columns

from abc import abstractmethod
from typing import Any, Literal

from torch import Tensor

from ostinato.models.spec import Given


class Bound:
    """Bounds the nats of pieces with one model; a paradigm has `score`."""

    kind: Literal["exact", "bound"] = "bound"

    def __init__(self, model: Any) -> None:
        self.model = model

    @abstractmethod
    def score(self, batch_BTW: Tensor, given: Given | None = None) -> Tensor:
        """See Scorer."""

    def predict(self, batch_BTW: Tensor, given: Given | None = None) -> tuple[Tensor, None]:
        """As `score`; nothing is predicted."""
        return self.score(batch_BTW, given), None

    def _given(self, given: Given | None) -> Given | None:
        """Of the conditions of the encoding, those that the model uses."""
        picked: Given | None = self.model.given(given.codes_BC if given else None)
        return picked
