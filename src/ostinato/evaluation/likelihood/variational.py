"""Bounds of variational families, and what their vectors hold of held-out pieces."""

# B batch, T positions, W columns, N segments, Z dimensions

import torch
from torch import Tensor

from ostinato.evaluation.latents import Latents
from ostinato.evaluation.likelihood.grids import Bound
from ostinato.models.grids.parts.voices import fixed_draws
from ostinato.models.spec import PAD, Given
from ostinato.models.variational.parts.bound import bound_of, elbo
from ostinato.models.variational.vae import Model

DRAWS = 16  # importance weights of every segment


class Scorer(Bound):
    """Bounds the nats of pieces with one model."""

    def score(self, batch_BTW: Tensor, given: Given | None = None) -> Tensor:
        """Nats of every column of whole pieces, (B, T, W), 0 where it is PAD: the bound of Burda
        (2016) with DRAWS importance weights for every segment.
        """
        return bound_of(self.model, batch_BTW, self._given(given), draws=DRAWS, weighted=True)

    @torch.inference_mode()
    def latents(self, batch_BTW: Tensor, given: Given | None = None) -> Latents:
        """What the vectors of whole pieces say, and how well pieces come back from them."""
        model: Model = self.model
        segments = model.segments(batch_BTW)
        picked = self._given(given)
        with fixed_draws(batch_BTW.device):
            nats_NLV, said_NZ = elbo(model, segments, picked, draws=1)
        posterior = model.encoded(segments, picked)[1]
        led = model.led(posterior.mean, model.alone(segments), segments.length)
        nothing = torch.full_like(segments.cells, PAD)
        written_NLV = model.decoder.write(
            led, segments.before, nothing, segments.length, lambda x, place, voice: x.argmax(dim=1)
        )
        same = (written_NLV == segments.cells) & (segments.cells != PAD)
        return Latents(
            piece_N=segments.piece,
            nats_N=nats_NLV.sum(dim=(1, 2)) + said_NZ.sum(dim=1),
            said_NZ=said_NZ,
            mean_NZ=posterior.mean,
            cells_N=segments.length * len(model.columns_V),
            same_N=same.sum(dim=(1, 2)),
        )
