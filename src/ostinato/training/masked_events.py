"""What masked families learn over events: what they learn on grids, with outlines for bar lines."""

# B batch, T positions

from typing import Any, cast

from torch import Tensor

from ostinato.models.masked.parts.bound import bound_of
from ostinato.models.masked_events.absorbing_events import Model
from ostinato.models.masked_events.parts.kinds import check_names
from ostinato.training import masked
from ostinato.training.grids import Data

__all__ = ("Data", "Module")

DRAWS = 2  # of a validation


class Module(masked.Module):
    """The bound of crops, with shares of hidden values spread evenly over a batch."""

    def on_fit_start(self) -> None:
        """Refuse an encoding whose vocabulary is laid out otherwise."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        names = tuple(data.tokens.codec["vocabulary"])
        check_names(cast(Model, self.model).kinds, names, data.tokens.name)

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The bound of whole pieces, under their conditions, with fewer draws."""
        tokens_BT1, codes_BK = batch
        average: Any = self.average
        nats = bound_of(average, tokens_BT1, average.given(codes_BK), draws=DRAWS)
        return {"nats": nats, "target": tokens_BT1}
