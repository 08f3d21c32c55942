"""What variational families learn: bars through latent vectors; a bound in nats per cell."""

# B batch, T positions, W columns

from typing import cast

from torch import Tensor

from ostinato.loading.batches import Batch
from ostinato.models.variational.parts.bound import bound_of
from ostinato.models.variational.vae import Model
from ostinato.training.grids import Data
from ostinato.training.module import Training

__all__ = ("Data", "Module")

DRAWS = 2  # of a validation


class Module(Training):
    """The bound of crops, with free bits."""

    def loss(self, batch: Batch) -> Tensor:
        """Nats of voices, and of bar lines, which are learned on whole pieces."""
        model = cast(Model, self.model)
        given = model.given(batch["conditions"])
        loss = model.loss(batch["targets"], batch["start"], self.global_step, given)
        return loss + model.bar_loss(batch)

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The bound of whole pieces, under their conditions."""
        rows_BTW, codes_BK = batch
        average = cast(Model, self.average)
        given = average.given(codes_BK)
        nats = bound_of(average, rows_BTW, given, draws=DRAWS, weighted=False)
        return {"nats": nats, "target": rows_BTW}
