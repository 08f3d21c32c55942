"""What the toy families learn: frequencies."""

from ostinato.loading.batches import Crops, whole_pieces
from ostinato.training.data import EncodingModule
from ostinato.training.module import Training


class Module(Training):
    """Nats of every sub-token."""

    def loss(self, batch):
        """Of crops."""
        return self.model.nats(batch["targets"]).sum()

    def validate(self, batch):
        """Of whole pieces."""
        return {"nats": self.average.nats(batch), "target": batch}


class Data(EncodingModule):
    """Crops and whole pieces."""

    def training_set(self, rank, world, parts):
        """Random crops."""
        return Crops(self.tokens, self.crops, rank=rank, world=world, parts=parts)

    def validation_set(self):
        """Whole pieces."""
        return [batch for _, batch in whole_pieces(self.tokens, "valid")]
