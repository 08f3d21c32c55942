"""What tuned systems learn: preferences of a study, close to the frozen base.

dpo: the pairs of the study (Rafailov et al. 2023). rloo: rewards of the model's own samples, each
compared with the others of its prompt (Kool et al. 2019; Ahmadian et al. 2024), with a weight of
divergence that follows the budget. expected: with the corpus as referee, the rates that are
expected after each prefix of the base's clips. Every validation measures the guards
(feedback/guards.py).
"""

# N clips, G samples of a prompt

import copy
import math
from typing import Any, ClassVar

import numpy as np
import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.feedback.clips import Clips, draw_clips, prompt_pieces
from ostinato.feedback.folder import Study, frozen_base, open_study
from ostinato.feedback.guards import Guards, clip_nats, new_nats, objective
from ostinato.feedback.preferences import Pairs, nearest_pairs
from ostinato.feedback.rates import Rates
from ostinato.feedback.reward import features_of, padded
from ostinato.feedback.settings import study_settings
from ostinato.feedback.statistics import ROOT, beats_of
from ostinato.loading.batches import Batch, conditions_of, whole_pieces
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.likelihood_metrics import likelihood_metrics
from ostinato.metrics.sonorities import IS_CONSONANT_TRIAD, IS_DOMINANT, IS_ROOT_TRIAD
from ostinato.models.policy.parts.expected import EXPECTED, Decoded, Expectations
from ostinato.models.policy.parts.rows import Chords
from ostinato.models.policy.tuned import start
from ostinato.sampling.registry import sampler_of
from ostinato.seeds import seed_of
from ostinato.training.data import EncodingModule
from ostinato.training.module import Training, rate_at
from ostinato.training.settings import Settings

DRAWN = {"dpo": "pairs", "rloo": "prompts", "expected": "clips"}
PACE, LEAST_BETA = 0.1, 1e-3  # of the weight of divergence, by step; its least value
TABLES = "intervals.motion"  # of models/autoregressive/parts/intervals.py
KEPT = 0.9  # of the running mean of expected rates, by step


class Module(Training):
    """Starts from the base's weights; `valid_loss` is minus the gain by the guarding reward."""

    unit: ClassVar[str] = "minus the guarding reward's gain"
    beta: Tensor
    rates: Tensor

    def __init__(self, model: nn.Module, settings: Settings) -> None:
        self.study: Study = open_study(settings.model["study"])
        weights = start(settings.model, self.study.base)
        model.load_state_dict(weights)
        super().__init__(model, settings)
        # in a tuple: torch would otherwise save it with every state
        self._base = (frozen_base(copy.deepcopy(model), weights),)
        self.register_buffer("beta", torch.tensor(float(settings.model["beta"])))
        if settings.model["method"] == "expected":
            self._expects(model)
        self._guards: tuple[Guards, ...] = ()
        self.pairs = training_pairs(self.study, model, settings)

    def configure_optimizers(self) -> Any:
        """As in any training, but for the rate of the tables of motion (`tables_lr`)."""
        found = super().configure_optimizers()
        speed = float(self.settings.model.get("tables_lr", 1.0))
        if speed == 1:
            return found
        tables = [p for name, p in self.model.named_parameters() if name.endswith(TABLES)]
        if not tables:
            raise ValueError(
                f"tables_lr={speed:g} is the rate of tables of voices' motion, and the base has "
                "none: take tables_lr=1"
            )
        chosen, steps = self.settings.optimizer, self.settings.training.steps
        groups = [
            {
                "params": [p for p in group["params"] if all(p is not table for table in tables)],
                "weight_decay": group["weight_decay"],
            }
            for group in found["optimizer"].param_groups
        ]
        groups.append({"params": tables, "lr": chosen.lr * speed, "weight_decay": 0.0})
        optimizer = torch.optim.AdamW(groups, lr=chosen.lr, betas=chosen.betas, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_at(step, steps, chosen.warmup, chosen.final_lr_ratio)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def configure_model(self) -> None:
        """Weights stay whole: samples are drawn while training."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            raise ValueError(
                "a tuned system cannot be trained with shared weights (fsdp), because it samples "
                "while it learns; take OSTINATO_TRAINER=cpu, gpu or ddp"
            )

    def metrics(self) -> Any:
        """Likelihood of held-out pieces, a guard as well."""
        return likelihood_metrics(self.model.shape.vocabulary)  # type: ignore[union-attr,arg-type]

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Nats of whole held-out pieces under their conditions."""
        tokens_BTW, codes_BK = batch
        average: Any = self.average
        nats, best = average.predict(tokens_BTW, average.given(codes_BK))
        return {"nats": nats, "preds": best, "target": tokens_BTW}

    def loss(self, batch: Batch) -> Tensor:
        """Of the method, summed over pairs or samples."""
        found: Tensor = getattr(self, f"_{self.settings.model['method']}")(batch)
        return found

    def _dpo(self, batch: Batch) -> Tensor:
        """-log σ(β (log π/π₀ of the better - of the worse))."""
        pairs, clips = chosen(batch["pairs"], len(self.pairs)), self.study.clips
        numbers = np.r_[self.pairs.better[pairs], self.pairs.worse[pairs]].tolist()
        tokens = padded([clips.tokens[n] for n in numbers])
        nats = new_nats(self.model, tokens, [clips.starts[n] for n in numbers])
        ratio_better, ratio_worse = (torch.from_numpy(clips.nats[numbers]) - nats).chunk(2)
        return -F.logsigmoid(self.beta.cpu() * (ratio_better - ratio_worse)).sum().float()

    def _rloo(self, batch: Batch) -> Tensor:
        """-A log π, A the reward less that of the prompt's other samples."""
        guards, group = self.guards, int(self.settings.model["group"])
        numbers = chosen(batch["prompts"], len(self.prompts)).tolist()
        prompts = [self.prompts[n] for n in numbers]
        place = (self.global_step, self.global_rank, *numbers)
        clips = draw_clips(
            sampler_of(self.model, guards.representation, guards.family),
            guards.representation,
            prompts,
            guards.settings.clips,
            each=group,
            seed=seed_of("rollout", self.settings.seed, *place),
        )
        self.model.train()
        nats = new_nats(self.model, padded(clips.tokens), clips.starts)
        kl = clip_nats(self._base[0], clips) - nats.detach().double().numpy()
        reward = guards.study.rewards.of(clips, guards.features(clips))[0]
        advantage = leave_one_out(reward - float(self.beta) * kl, clips)
        ratio = float(kl.mean()) / float(self.settings.model["kl_budget"]) - 1
        self.beta.mul_(float(np.exp(PACE * np.clip(ratio, -1, 1)))).clamp_(min=LEAST_BETA)
        return (torch.from_numpy(advantage) * nats).sum().float()

    def _expects(self, model: nn.Module) -> None:
        """Prepare what is expected: values from the base's clips, and where the rates begin."""
        check_expected(self.study, model)
        clips, first = self.study.clips, self.study.rewards.first
        assert isinstance(first, Rates)
        self.names = [name for name in first.weights if name in EXPECTED]
        tokens = padded(clips.tokens)
        self._beats = torch.from_numpy(beats_of(clips.pieces, tokens.shape[1]))
        plan = study_settings(self.study.card["settings"]).clips
        decoded = Decoded(plan.top_p, plan.split, plan.motion)
        self.expectations = Expectations(model, self.names, chords(), decoded)
        self.expectations.fit(tokens, self._beats)
        base = dict(zip(first.weights, first.base, strict=True))
        self.register_buffer("rates", torch.tensor([base[name] for name in self.names]))

    def _expected(self, batch: Batch) -> Tensor:
        """-J + β KL(π‖π₀) of the base's clips: the rates that are expected of π after each of
        their prefixes, not those that were drawn (Ciosek & Whiteson 2018). J's slope is taken at
        their running means, so that what a batch happens to have does not pull.
        """
        clips, first = self.study.clips, self.study.rewards.first
        assert isinstance(first, Rates)
        numbers = chosen(batch["clips"], len(clips)).tolist()
        tokens = padded([clips.tokens[n] for n in numbers]).to(self.device)
        beats = self._beats[numbers, : tokens.shape[1]]
        found = self.expectations.of(self.model, self._base[0].to(self.device), tokens, beats)
        loss = self.beta * found.kl.sum()
        for place, name in enumerate(self.names):
            above, below = found.counts[name]
            if below > 0:
                rate = above / below
                seen = rate.detach().to(self.rates.device)
                self.rates[place] += (1 - KEPT) * (seen - self.rates[place])
                slope = first.slope(name, float(self.rates[place]))
                loss = loss + len(numbers) * slope * rate.to(loss.device)
        return loss

    @property
    def guards(self) -> Guards:
        """Made at first use: it measures the base."""
        if not self._guards:
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            self._base[0].to(self.device)
            self._guards = (Guards(self.study, self._base[0], data.tokens),)
            settings = self._guards[0].settings.clips
            bars = settings.prompt_bars + settings.bars
            self.prompts = prompt_pieces(data.tokens, "train", settings.prompts, bars)
        return self._guards[0]

    def on_train_start(self) -> None:
        """Measure the untuned base before the first update: it is the first candidate, and all
        callbacks hear of it as of any other validation. A resumed training has its row already.
        """
        if self.history:
            return
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self._train_losses.append(torch.tensor(math.nan))  # no update yet
        self.on_validation_epoch_start()
        with torch.no_grad():
            for number, batch in enumerate(data.val_dataloader()):
                self.validation_step(self.trainer.strategy.batch_to_device(batch), number)
        self.on_validation_epoch_end()
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            callback.on_train_epoch_end(self.trainer, self)

    def on_train_end(self) -> None:
        """Say so where no step was better than the base."""
        losses = [row["valid_loss"] for row in self.history]
        if losses[0] == min(losses) and self.trainer.is_global_zero:
            print(  # noqa: T201
                f"{self.settings.system}: no step is better than the untuned base by the guards; "
                "its weights are kept as step 0"
            )

    def on_validation_epoch_end(self) -> None:
        """Add a row to the history: the guards beside the likelihood."""
        super().on_validation_epoch_end()
        budget = float(self.settings.model["kl_budget"])
        row, guard = self.history[-1], self.guards.row(self.average, budget)
        self.model.train()
        row["valid_nats_per_token"] = row["valid_loss"]
        row["valid_loss"] = round(objective(guard, budget), 6)
        row |= {f"valid_{name}": value for name, value in guard.items()}
        row["beta"] = round(float(self.beta), 6)


def check_expected(study: Study, model: nn.Module) -> None:
    """Raise ValueError where nothing can be expected: of another reward, or without voices."""
    first = study.rewards.first
    if not isinstance(first, Rates) or not set(first.weights) & set(EXPECTED):
        raise ValueError(
            f"method=expected needs a study of kind corpus with a weight of one of "
            f"{', '.join(EXPECTED)}, and {study.folder} has none: take method=rloo or dpo"
        )
    voices = getattr(model, "shape").voices  # noqa: B009 - a Module's attributes are tensors
    if voices is None or voices.hold >= 0:
        raise ValueError(
            "method=expected needs a base on a grid of voices whose cells name what sounds "
            "(hold: false): take method=rloo or dpo"
        )


def chords() -> Chords:
    """The tables of sonorities that expected rates read."""
    tables = (IS_CONSONANT_TRIAD, IS_DOMINANT, IS_ROOT_TRIAD, ROOT)
    return Chords(*(torch.from_numpy(np.asarray(table)) for table in tables))


def chosen(places: Tensor, total: int) -> Any:
    """Numbers below `total` at places in [0, 1)."""
    return (places.cpu().numpy() * total).astype(np.int64)


def training_pairs(study: Study, base: nn.Module, settings: Settings) -> Pairs:
    """The pairs of dpo; see `models/policy/tuned.py`."""
    if settings.model.get("pairs", "reward") == "choices":
        return study.pairs
    reward, _ = study.rewards.of(study.clips, features_of(base, study.clips))
    pairs = nearest_pairs(study.clips.prompts, reward)
    return pairs.only(reward[pairs.better] - reward[pairs.worse] >= 1)


def leave_one_out(rewards: Any, clips: Clips) -> Any:
    """Each reward less the mean of the others of its prompt, (N,); 0 for one alone."""
    _, number = np.unique(np.array(clips.prompts), return_inverse=True)
    count = np.bincount(number)[number]
    total = np.bincount(number, rewards)[number]
    others = (total - rewards) / np.maximum(count - 1, 1)
    return np.where(count > 1, rewards - others, 0.0)


class Choices(torch.utils.data.Dataset[Batch]):
    """Places of pairs, prompts or clips, a function of (seed, step); count: of the whole batch."""

    def __init__(self, settings: Settings, rank: int, world: int, parts: int) -> None:
        self.parts, self.rank, self.world = parts, rank, world
        self.method = settings.model["method"]
        group = int(settings.model["group"]) if self.method == "rloo" else 1
        self.count = settings.training.batch
        if self.count % (group * world * parts):
            raise ValueError(
                f"training.batch={self.count} must be a multiple of {group * world * parts}: "
                f"groups of {group} on {world} devices in {parts} parts"
            )
        self.drawn, self.seed = self.count // group, seed_of("choices", settings.seed)

    def __getitem__(self, index: int) -> Batch:
        """Pairs, prompts or clips: where those of this share lie among all, in [0, 1)."""
        step, part = divmod(index, self.parts)
        drawn = np.random.default_rng([self.seed, step]).random(self.drawn)
        mine = drawn[part * self.world + self.rank :: self.world * self.parts]
        return {DRAWN[self.method]: torch.from_numpy(mine), "count": torch.tensor(self.count)}


class Data(EncodingModule):
    """Pairs, prompts or clips for training, whole held-out pieces for validation."""

    def __init__(self, tokens: TokenSet, settings: Settings) -> None:
        super().__init__(tokens, settings)
        self.settings = settings

    def training_set(self, rank: int, world: int, parts: int) -> torch.utils.data.Dataset[Batch]:
        """What the method draws."""
        return Choices(self.settings, rank, world, parts)

    def validation_set(self) -> list[tuple[Tensor, Tensor]]:
        """Padded batches of whole pieces with the codes of their conditions."""
        part = self.tokens.splits["valid"]
        return [
            (batch, conditions_of(part, numbers))
            for numbers, batch in whole_pieces(self.tokens, "valid")
        ]
