"""Bounds of families of Gaussian diffusion over rolls: the variational bound in continuous time.

Models of sound have none: a likelihood of real numbers says little about what is heard.
"""

# B batch, T positions, W columns

from typing import Any, Literal

from torch import Tensor

from ostinato.models.diffusion.ddpm import Model
from ostinato.models.diffusion.parts.bound import bound_of
from ostinato.models.spec import Given

DRAWS = 16  # noise levels of every piece


class Scorer:
    """Bounds the nats of pieces with one model."""

    kind: Literal["exact", "bound"] = "bound"

    def __new__(cls, model: Any) -> Any:
        """None for a model of sound."""
        return None if model.shape.is_real else super().__new__(cls)

    def __init__(self, model: Model) -> None:
        self.model = model

    def score(self, batch_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every column of whole pieces, (B, T, W), 0 where it is PAD.

        Without conditions, whatever is given, so that they compare with those of other models.
        """
        return bound_of(self.model, batch_BTW, None, draws=DRAWS)

    def predict(self, batch_BTW: Tensor, given: Given | None = None) -> tuple[Tensor, None]:
        """As `score`; nothing is predicted."""
        return self.score(batch_BTW, given), None
