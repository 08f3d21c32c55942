"""Bounds of latent diffusion: what the vae's vectors cost, and the cells given them."""

# B batch, T positions, W columns

from torch import Tensor

from ostinato.evaluation.likelihood.grids import Bound
from ostinato.models.latent_diffusion.parts.bound import bound_of
from ostinato.models.spec import Given

DRAWS = 16  # vectors and noise levels of every piece


class Scorer(Bound):
    """Bounds the nats of pieces with one model."""

    def score(self, batch_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every column of whole pieces, (B, T, W), 0 where it is PAD."""
        return bound_of(self.model, batch_BTW, draws=DRAWS)
