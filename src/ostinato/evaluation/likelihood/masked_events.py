"""Bounds of masked families over events: an exact outline, and its values in random orders."""

# B batch, T positions

from torch import Tensor

from ostinato.evaluation.likelihood.grids import Bound
from ostinato.models.masked_events.parts.bound import bound_of
from ostinato.models.spec import Given

DRAWS = 16  # estimates of every piece


class Scorer(Bound):
    """Bounds the nats of pieces with one model."""

    def score(self, batch_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every token of whole pieces, (B, T, 1), 0 where it is PAD."""
        return bound_of(self.model, batch_BTW, self._given(given), draws=DRAWS)
