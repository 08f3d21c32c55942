"""One progress bar over the whole training: steps, losses, tokens per second, time left."""

import sys
from collections.abc import Mapping
from typing import Protocol

import pytorch_lightning as pl
from tqdm import tqdm

from ostinato.training.module import Training


class Record(Protocol):
    """Where a training is logged."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """One row of the curve."""

    def flush(self) -> None:
        """Write what was logged, before the training's own state is saved."""

    def finish_weights(self, sha256: str) -> None:
        """Note the hash by which later stages find this record."""


class Progress(pl.Callback):
    """Draws the bar on stderr and logs every row of the curve.

    values: of the arrays, that a step sees.
    """

    def __init__(self, values: int, record: Record | None = None) -> None:
        self._values, self._record = values, record
        self._bar: tqdm | None = None
        self._shown: dict[str, str] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the bar at the current step."""
        assert isinstance(module, Training)
        if trainer.is_global_zero:
            live = sys.stderr.isatty()
            self._bar = tqdm(
                total=module.settings.training.steps,
                initial=trainer.global_step,
                desc=module.settings.system,
                unit="step",
                mininterval=0.2 if live else 10,
                maxinterval=0.2 if live else 10,
                dynamic_ncols=live,
                ncols=None if live else 110,
                smoothing=0.1,
            )

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        """One more step, unless this was a part of one."""
        if self._bar is not None and trainer.global_step > self._bar.n:
            rate = self._bar.format_dict["rate"]
            if rate:
                self._shown["tokens/s"] = f"{rate * self._values:,.0f}"
                self._bar.set_postfix(self._shown, refresh=False)
            self._bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the validation and report the row."""
        assert isinstance(module, Training)
        row = module.history[-1]
        if self._bar is not None:
            self._shown["train"] = f"{row['train_loss']:.3f}"
            self._shown["valid"] = f"{row['valid_loss']:.3f}"
        if self._record is not None:
            curve = {
                name.replace("_", "/", 1) if name.startswith(("train_", "valid_")) else name: value
                for name, value in row.items()
                if name != "step"
            }
            self._record.log(curve, int(row["step"]))
            self._record.flush()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, trainer, module, exception) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        """Close the bar on errors as well."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
