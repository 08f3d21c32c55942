"""Early stopping: a training that no longer improves ends; its best weights are exported."""

from collections.abc import Mapping, Sequence

import pytorch_lightning as pl

from ostinato.training.module import Training


class EarlyStopping(pl.Callback):
    """Ends the training after `patience` validations without a better one; 0 never does.

    It depends on the curve only, also when a run is resumed, so an interrupted run ends where it
    would have ended. The first process decides for all: their sums could differ in the last bit.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """A state may have been saved by the validation that ended its run."""
        self._check(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Check after every validation."""
        self._check(trainer, module)

    def _check(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, Training)
        if self.patience:
            stop = since_best(module.history) >= self.patience
            trainer.should_stop = trainer.strategy.broadcast(stop)


def since_best(history: Sequence[Mapping[str, float]]) -> int:
    """Validations after the first of the lowest loss."""
    losses = [row["valid_loss"] for row in history]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0
