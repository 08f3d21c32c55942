"""Bounds of families of Gaussian diffusion over rolls: the variational bound in continuous time.

Models of sound have none: a likelihood of real numbers says little about what is heard.
"""

# B batch, T positions, W columns

from typing import Any

from torch import Tensor

from ostinato.evaluation.likelihood.grids import Bound
from ostinato.models.diffusion.parts.bound import bound_of
from ostinato.models.spec import Given

DRAWS = 16  # noise levels of every piece


class Scorer(Bound):
    """Bounds the nats of pieces with one model."""

    def __new__(cls, model: Any) -> Any:
        """None for a model of sound."""
        return None if model.shape.is_real else super().__new__(cls)

    def score(self, batch_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every column of whole pieces, (B, T, W), 0 where it is PAD.

        Without conditions, whatever is given, so that they compare with those of other models.
        """
        return bound_of(self.model, batch_BTW, None, draws=DRAWS)
