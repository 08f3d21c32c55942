"""The core of every training: optimizer, schedule, moving average of the weights, validation.

A paradigm adds its loss (`training/<paradigm>.py`). Dropout, and whatever else a loss draws, is
seeded from (seed, step) before every step, so a resumed run draws what it would have drawn. What is
validated and exported is a moving average of the weights. A step may consist of several parts with
accumulated gradients: Lightning calls each of them a batch.
"""

import copy
import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torchmetrics import MetricCollection

from ostinato.loading.batches import Batch
from ostinato.metrics.likelihood_metrics import likelihood_metrics
from ostinato.seeds import seed_of
from ostinato.training.muon import MUON_DECAY, Muon, layer_matrices
from ostinato.training.settings import Settings
from ostinato.training.shards import shard, whole


class Training(pl.LightningModule):
    """Trains `model`; `average` is its moving average.

    unit: what losses are measured in, for those who read them.
    """

    unit: ClassVar[str] = "nats per token"
    loss_metric: ClassVar[str] = "nats_per_token"

    def __init__(self, model: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.settings = settings
        self._train_losses: list[Tensor] = []
        self.valid_metrics = self.metrics()
        self.history: list[dict[str, float]] = []

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The sum of a batch's losses under `model`. It is divided by `batch["count"]`, the number
        of values of the whole global batch.
        """

    @abstractmethod
    def validate(self, batch: Any) -> Mapping[str, Tensor]:
        """A validation batch under `average`, as arguments of the update of `metrics`."""

    def metrics(self) -> MetricCollection:
        """What validation measures; `loss_metric` of it is the loss."""
        return likelihood_metrics()

    def setup(self, stage: str) -> None:
        """Compile in place, which keeps the names of the weights (unlike torch.compile of the
        module).
        """
        if stage == "fit" and self.settings.training.compile:
            self.model.compile()

    def configure_model(self) -> None:
        """Share the weights among the devices where the strategy wants that."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            for module in (self.model, self.average):
                shard(module, self.device_mesh["data_parallel"])  # type: ignore[index]

    def configure_optimizers(self) -> Any:
        """AdamW, decaying all but vectors (norms, single biases), and Muon for the matrices of
        `optimizer.muon`, with the schedule by steps.
        """
        chosen = self.settings.optimizer
        orthogonal = layer_matrices(self.model, chosen.muon)
        own = {id(weight) for weights in orthogonal.values() for weight in weights}
        matrices = [p for p in self.model.parameters() if p.ndim >= 2 and id(p) not in own]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        rate = {"lr": chosen.muon_lr, "weight_decay": MUON_DECAY}
        groups = [
            {"params": matrices, "weight_decay": chosen.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
            *({"params": w, "orthogonal": count, **rate} for count, w in orthogonal.items()),
        ]
        optimizer = Muon(groups, lr=chosen.lr, betas=chosen.betas, fused=True)
        steps = self.settings.training.steps
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_at(step, steps, chosen.warmup, chosen.final_lr_ratio)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_epoch_start(self) -> None:
        """Forget the losses before the last validation."""
        self._train_losses.clear()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout for this step, this device and this part of the step."""
        part = batch_idx % self.trainer.accumulate_grad_batches
        place = (self.global_rank, part) if part else (self.global_rank,)
        torch.manual_seed(seed_of("dropout", self.settings.seed, self.global_step, *place))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss over the values of the global batch.

        Gradients are averaged over the devices and over the parts of a step, so each part counts as
        often as there are of both: the average is the gradient of one device that holds the whole
        batch at once.
        """
        shares = self.trainer.world_size * self.trainer.accumulate_grad_batches
        loss = self.loss(batch) * shares / batch["count"]
        self._train_losses.append(loss.detach())
        return loss

    def configure_gradient_clipping(self, *args: object, **kwargs: object) -> None:
        """Clip by the norm of the whole gradient; Lightning's own refuses the fused optimizer."""
        if self.settings.optimizer.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.optimizer.clip)

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        """Move the average after every step; early on it follows faster, (1 + n) / (10 + n)."""
        if (batch_idx + 1) % self.trainer.accumulate_grad_batches:
            return
        step = self.global_step
        decay = min(self.settings.training.ema_decay, (1 + step) / (10 + step))
        ours: list[Tensor] = list(self.average.parameters())
        theirs: list[Tensor] = list(self.model.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(ours, theirs, 1 - decay)

    def on_validation_epoch_start(self) -> None:
        """Reset the sums."""
        self.valid_metrics.reset()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measure the average, in full precision; the sums of all devices are added up."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        with torch.autocast(self.device.type, enabled=False):
            found = self.validate(batch)
        if data.counts(batch_idx):
            self.valid_metrics.update(**found)

    def on_validation_epoch_end(self) -> None:
        """Add a row to the history: means since the last validation."""
        if self.trainer.sanity_checking:
            return
        found = {name: float(value) for name, value in self.valid_metrics.compute().items()}
        loss = found.pop(self.loss_metric)
        if not math.isfinite(loss):
            raise ValueError(
                f"training diverged: the loss on valid is {loss} at step "
                f"{self.global_step}; lower optimizer.lr={self.settings.optimizer.lr} or raise "
                f"optimizer.warmup={self.settings.optimizer.warmup}"
            )
        mean = self.trainer.strategy.reduce(
            torch.stack(self._train_losses).mean(), reduce_op="mean"
        )
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        row = {
            "step": self.global_step,
            "train_loss": round(float(mean), 6),
            "valid_loss": round(loss, 6),
            "learning_rate": float(rate),
            **{f"valid_{name}": round(value, 6) for name, value in found.items()},
        }
        self.history.append(row)

    def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Save the curve so far."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Restore the curve."""
        self.history = list(checkpoint["history"])  # type: ignore[call-overload]


def rate_at(step: int, steps: int, warmup: int, final: float) -> float:
    """Share of the peak rate at a step: linear up, then a cosine down to `final`."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))


def trained_weights(module: nn.Module) -> dict[str, Tensor]:
    """The weights to export: whole, contiguous, on the CPU, by their plain names.

    Where they are shared among devices, all of these must take part.
    """
    return {n: whole(v.detach()).cpu().contiguous() for n, v in module.state_dict().items()}
