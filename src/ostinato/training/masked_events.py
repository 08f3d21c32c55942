"""What masked families learn over events: hidden values given the others, and the outline."""

# B batch, T positions

from typing import Any, cast

import torch
from torch import Tensor

from ostinato.loading.batches import Batch
from ostinato.models.masked_events.absorbing_events import Model
from ostinato.models.masked_events.parts.bound import bound_of
from ostinato.models.masked_events.parts.kinds import check_names
from ostinato.training.grids import Data
from ostinato.training.module import Training

__all__ = ("Data", "Module")

DRAWS = 2  # of a validation


class Module(Training):
    """The bound of crops, with shares of hidden values spread evenly over a batch."""

    def on_fit_start(self) -> None:
        """Refuse an encoding whose vocabulary is laid out otherwise."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        names = tuple(data.tokens.codec["vocabulary"])
        check_names(cast(Model, self.model).kinds, names, data.tokens.name)

    def loss(self, batch: Batch) -> Tensor:
        """Nats of values and of the outline."""
        model = cast(Model, self.model)
        tokens_BT1, start_B = batch["targets"], batch["start"]
        size = len(tokens_BT1)
        spread_B = (torch.randperm(size) + torch.rand(size)) / size
        skew = model.config.skew
        shares_B = (1 - spread_B**skew).to(tokens_BT1.device)
        weights_B = (skew * spread_B ** (skew - 1)).to(tokens_BT1.device)
        nats_BT = model.bound(tokens_BT1, shares_B, start_B, model.given(batch["conditions"]))
        tokens_BT = tokens_BT1[..., 0]
        kinds_BT = model.kinds_of(tokens_BT)
        outline_BT = model.outline.nats(tokens_BT.clamp(min=0), kinds_BT, start_B)
        return (nats_BT * weights_B[:, None]).sum() + outline_BT.sum()

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The bound of whole pieces, under their conditions."""
        tokens_BT1, codes_BK = batch
        average = cast(Model, self.average)
        nats = bound_of(average, tokens_BT1, average.given(codes_BK), draws=DRAWS)
        return {"nats": nats, "target": tokens_BT1}
