"""What adversarial families learn: several steps of a critic, then one of the generator."""

# B batch, N bars of a strip, M = N - 2 inner bars, S steps of a bar, T = M * S, V voices, C symbols

from typing import Any, ClassVar, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection

from ostinato.loading.batches import Batch, CropSettings
from ostinato.loading.tokens import TokenSet
from ostinato.models.adversarial.gan import Model
from ostinato.models.adversarial.parts.generator import Strip
from ostinato.models.adversarial.parts.known import draw_known
from ostinato.models.adversarial.parts.penalty import gradient_penalty
from ostinato.models.adversarial.parts.rolls import MARGIN, Form, Roll, form_of, planes_of
from ostinato.models.adversarial.parts.statistics import NAMES, counted, distances, roll_from
from ostinato.models.adversarial.parts.strips import Framed, frame_all, strips
from ostinato.models.registry import configured
from ostinato.models.spec import PAD, ArraySpec
from ostinato.seeds import seed_of
from ostinato.training.data import EncodingModule
from ostinato.training.module import Training, rate_at
from ostinato.training.settings import Settings

CLOSENESS = "distance"
BAR_LINES = 10.0  # their rate, in multiples of optimizer.lr


class Module(Training):
    """A generator against a critic, each with its optimizer.

    A step is one of the generator, after `critic_steps` of the critic on other batches. Everything
    that is drawn is seeded before every step, and rates follow from the number of the step, so a
    resumed training is the uninterrupted one.
    """

    unit: ClassVar[str] = "nats, mean Jensen-Shannon divergence of what can be counted"
    loss_metric: ClassVar[str] = CLOSENESS

    def __init__(self, model: Model, settings: Settings) -> None:
        super().__init__(model, settings)
        self.automatic_optimization = False
        self._counts: dict[str, tuple[Tensor, Tensor]] = {}

    def metrics(self) -> MetricCollection:
        """The distance of what can be counted, and how far the critic tells music from samples."""
        return MetricCollection({CLOSENESS: Distance(), "critic_gap": MeanMetric()})

    def configure_callbacks(self) -> list[pl.Callback]:
        """None; this is the first hook, so it is here that several devices or parts are refused.

        Raises:
            ValueError: they are asked for; a penalty needs slopes of slopes, each of a whole batch.
        """
        world, parts = self.trainer.world_size, self.trainer.accumulate_grad_batches
        if world > 1 or parts > 1:
            raise ValueError(
                f"adversarial families train on one device and a whole batch at once, not on "
                f"{world} devices in {parts} parts: take OSTINATO_TRAINER=cpu or gpu, with "
                "trainer.devices=1 and trainer.micro_batch=null"
            )
        return []

    def configure_optimizers(self) -> Any:
        """Adam for the generator (and the bar lines), Adam for the critic."""
        chosen, model = self.settings.optimizer, cast(Model, self.model)
        if chosen.muon:
            raise ValueError(
                f"optimizer.muon={list(chosen.muon)}: adversarial families train with Adam; "
                "set optimizer.muon=[]"
            )
        makers = [
            {"params": list(model.generator.parameters()), "scale": 1.0},
            {"params": list(model.bar_lines.parameters()), "scale": BAR_LINES},
        ]
        critics = [{"params": list(model.critic.parameters()), "scale": model.config.critic_lr}]
        options: dict[str, Any] = {
            "betas": chosen.betas,
            "weight_decay": chosen.weight_decay,
            "fused": True,
        }
        return [torch.optim.AdamW(groups, lr=chosen.lr, **options) for groups in (makers, critics)]

    def on_fit_start(self) -> None:
        """Tell the model by how much the training pieces were moved to one key."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        for model in (self.model, self.average):
            cast(Model, model).shifts.copy_(data.shift_counts())

    def on_train_epoch_start(self) -> None:
        """Forget what was counted before the last validation."""
        super().on_train_epoch_start()
        self._counts = {}

    def on_validation_epoch_start(self) -> None:
        """The distance of what was counted is the loss of training."""
        super().on_validation_epoch_start()
        real, made = ({k: v[side] for k, v in self._counts.items()} for side in (0, 1))
        self._train_losses[:] = [torch.stack(list(distances(real, made).values())).mean()]

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        """Steps of the critic, each on windows of its own, then one of the generator."""
        model, step = cast(Model, self.model), self.global_step
        generator, critic = cast(list[Any], self.optimizers())
        self._set_rates(step)
        games = model.config.critic_steps + 1
        parts = [
            {name: values.chunk(games)[game] for name, values in batch.items() if name != "bars"}
            for game in range(games)
        ]
        for part in parts[:-1]:
            loss = self.critic_loss(part)
            critic.zero_grad()
            self.manual_backward(loss)
            # the plain optimizer: steps of the generator alone count as steps of the training
            critic.optimizer.step()
        model.critic.requires_grad_(False)
        loss = self.loss(parts[-1]) + model.bar_lines.nats(batch["bars"]).mean()
        generator.zero_grad()
        self.manual_backward(loss)
        model.critic.requires_grad_(True)
        if self.settings.optimizer.clip:
            torch.nn.utils.clip_grad_norm_(
                model.generator.parameters(), self.settings.optimizer.clip
            )
        generator.step()

    def critic_loss(self, batch: Batch) -> Tensor:
        """E[critic(made)] − E[critic(real)] + penalty (Gulrajani 2017, algorithm 1)."""
        model = cast(Model, self.model)
        strip, real_BTVC, known_BTV = self._real(batch)
        with torch.no_grad():
            made_BTVC = self._made(model, strip, real_BTVC, known_BTV)
        scores = model.critic(torch.cat([real_BTVC, made_BTVC]), _twice(strip))
        real_B, made_B = scores.chunk(2)
        lots_B = torch.rand(len(real_BTVC), device=real_BTVC.device)
        penalty_B = gradient_penalty(
            lambda points: model.critic(points, strip), real_BTVC, made_BTVC, lots_B
        )
        return (made_B - real_B + model.config.penalty * penalty_B).mean()

    def loss(self, batch: Batch) -> Tensor:
        """−E[critic(made)]."""
        model = cast(Model, self.model)
        strip, real_BTVC, known_BTV = self._real(batch)
        made_BTVC = self._made(model, strip, real_BTVC, known_BTV)
        self._count(model.form, batch, made_BTVC)
        loss: Tensor = -model.critic(made_BTVC, strip).mean()
        return loss

    def validate(self, batch: Batch) -> dict[str, Any]:
        """As many strips made from nothing as there are of held-out music, from fixed numbers."""
        average = cast(Model, self.average)
        strip, real_BTVC, known_BTV = self._real(batch, free=True)
        random = torch.Generator().manual_seed(seed_of("validation", self.settings.seed))
        latent = average.latent(strip, random)
        made_BTVC = average.generator(
            latent, strip, torch.zeros_like(real_BTVC), known_BTV, average.hard
        )
        gap_B = average.critic(real_BTVC, strip) - average.critic(made_BTVC, strip)
        return {
            "value": gap_B,
            "real": counted(_roll(batch), average.form),
            "made": counted(roll_from(made_BTVC, average.form), average.form),
        }

    def _real(self, batch: Batch, *, free: bool = False) -> tuple[Strip, Tensor, Tensor]:
        form, share = cast(Model, self.model).form, cast(Model, self.model).config.known
        strip = Strip(batch["steps"], batch["edges"], batch["shift"])
        roll = _roll(batch)
        known_BTV = draw_known(roll.symbols != PAD, 0.0 if free else share, form.bar_steps)
        return strip, planes_of(roll.symbols, roll.onsets, form), known_BTV

    def _made(self, model: Model, strip: Strip, real_BTVC: Tensor, known_BTV: Tensor) -> Tensor:
        given_BTVC = real_BTVC * known_BTV[..., None]
        made: Tensor = model.generator(model.latent(strip), strip, given_BTVC, known_BTV)
        return made

    def _count(self, form: Form, batch: Batch, made_BTVC: Tensor) -> None:
        """Add to what was counted since the last validation; its distance is the training's."""
        real, made = counted(_roll(batch), form), counted(roll_from(made_BTVC, form), form)
        for name in NAMES:
            before = self._counts.get(name, (0, 0))
            self._counts[name] = (before[0] + real[name], before[1] + made[name])

    def _set_rates(self, step: int) -> None:
        chosen = self.settings.optimizer
        share = rate_at(step, self.settings.training.steps, chosen.warmup, chosen.final_lr_ratio)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = chosen.lr * group["scale"] * share


class Distance(Metric):
    """Mean Jensen-Shannon divergence of the counts of real and made strips, in nats."""

    full_state_update = False
    higher_is_better = False

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[Tensor]] = {}
        self.add_state("batches", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, real: dict[str, Tensor], made: dict[str, Tensor]) -> None:
        """Add the counts of strips."""
        self.batches += 1
        for name in NAMES:
            pair = torch.stack([real[name], made[name]])
            self.found.setdefault(name, []).append(pair)

    def compute(self) -> Tensor:
        """A 64-bit scalar in [0, ln 2]."""
        sums = {name: torch.stack(pairs).sum(dim=0) for name, pairs in self.found.items()}
        apart = distances({k: v[0] for k, v in sums.items()}, {k: v[1] for k, v in sums.items()})
        return torch.stack(list(apart.values())).mean()

    def reset(self) -> None:
        """Forget all counts."""
        super().reset()
        self.found = {}


class Data(EncodingModule):
    """Strips of bars, whose first step is the beginning of a bar."""

    def __init__(self, tokens: TokenSet, settings: Settings) -> None:
        super().__init__(tokens, settings)
        config = configured(settings.family, settings.model)
        self._form = form_of(ArraySpec.of(tokens.codec), config.bar_steps)
        self._games = config.critic_steps + 1
        bars, left = divmod(settings.training.crop, config.bar_steps)
        if left or not bars:
            raise ValueError(
                f"training.crop={settings.training.crop} must be a multiple of "
                f"model.bar_steps={config.bar_steps}: a strip has whole bars"
            )
        self._bars = bars
        self._pieces: dict[str, list[Framed]] = {}

    def pieces(self, split: str) -> list[Framed]:
        """The pieces of a split in frames; without those that have a longer bar, or too few bars.

        Raises:
            ValueError: none is left.
        """
        if split not in self._pieces:
            part = self.tokens.splits[split]
            rows = [torch.from_numpy(part.tokens_of(n).astype(np.int64)) for n in range(len(part))]
            self._pieces[split], why = frame_all(rows, self._form, self._bars)
            for reason, count in why.items():
                print(f"{split}: {count} of {len(part)} pieces are left out: {reason}")  # noqa: T201
            if not self._pieces[split]:
                raise ValueError(
                    f"no piece of {self.tokens.name}, split {split}, is left: lower training.crop="
                    f"{self.crops.crop} or raise model.bar_steps={self._form.bar_steps}"
                )
        return self._pieces[split]

    def shift_counts(self) -> Tensor:
        """How many training pieces were moved by each number of semitones."""
        return counts_of([piece.shift for piece in self.pieces("train")])

    def training_set(self, rank: int, world: int, parts: int) -> torch.utils.data.Dataset[Batch]:
        """Strips for all steps of the critic and of the generator, and bar columns."""
        return Drawn(self.pieces("train"), self.crops, self._bars, self._games)

    def validation_set(self) -> list[Batch]:
        """All strips of the split, one after the other in every piece."""
        pieces = self.pieces("valid")
        starts = [
            (number, first)
            for number, piece in enumerate(pieces)
            for first in range(0, len(piece.symbols_NSV) - self._bars + 1, self._bars)
        ]
        return [strips(pieces, starts, self._bars)]


class Drawn(torch.utils.data.Dataset[Batch]):
    """Item `step` has the strips of one training step: `games` batches, one after the other."""

    def __init__(self, pieces: list[Framed], settings: CropSettings, bars: int, games: int) -> None:
        self._pieces, self._settings, self._bars, self._games = pieces, settings, bars, games
        counts = np.array([len(piece.symbols_NSV) - bars + 1 for piece in pieces])
        self._ends = np.cumsum(counts)

    def __getitem__(self, step: int) -> Batch:
        """A function of (seed, step) alone: see parts/strips.py; bars, (b, T), whole bar columns.

        Every strip of the split is equally likely.
        """
        random = np.random.default_rng([self._settings.seed, step])
        size = self._settings.batch * self._games
        drawn = random.integers(self._ends[-1], size=size)
        numbers = np.searchsorted(self._ends, drawn, side="right")
        firsts = self._bars_before(drawn, numbers)
        low, high = self._settings.transpose
        moved = random.integers(low, high + 1, size=size)
        places = list(zip(numbers.tolist(), firsts.tolist(), strict=True))
        batch = strips(self._pieces, places, self._bars, moved.tolist())
        whole = random.integers(len(self._pieces), size=self._settings.batch).tolist()
        columns = [self._pieces[number].column for number in whole]
        padded = torch.nn.utils.rnn.pad_sequence(columns, batch_first=True, padding_value=PAD)
        return batch | {"bars": padded}

    def _bars_before(self, drawn: Any, numbers: Any) -> Any:
        before = np.concatenate([[0], self._ends[:-1]])
        return drawn - before[numbers]


def counts_of(shifts: list[int]) -> Tensor:
    """How many there are of each from -MARGIN on."""
    moved = torch.tensor(shifts) + MARGIN
    return torch.bincount(moved, minlength=2 * MARGIN).float()


def _roll(batch: Batch) -> Roll:
    return Roll(batch["symbols"], batch["onsets"])


def _twice(strip: Strip) -> Strip:
    """For real and made ones, one after the other."""
    return Strip(*(torch.cat([part, part]) for part in vars(strip).values()))
