"""What is measured of a model that learns from preferences, beside its frozen base.

The model and the base continue the same held-out prompts from the same seeds, so differences are
paired. Every figure is of clips drawn from the model as it is, without truncation.
"""

# N clips, F features

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ostinato.feedback.clips import Clips, draw_clips, prompt_pieces
from ostinato.feedback.folder import Study
from ostinato.feedback.rates import Rates, rates_of
from ostinato.feedback.reward import Features, features_of, padded
from ostinato.feedback.settings import GUARDED, study_settings
from ostinato.feedback.statistics import counts_of
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.bootstrap import mean_interval
from ostinato.models.spec import PAD
from ostinato.representations.registry import build as build_representation
from ostinato.sampling.registry import sampler_of

Values = npt.NDArray[np.float64]
LEAST_DIVERSITY = 0.8  # of the base's Vendi score


@dataclass(frozen=True)
class Measured:
    """Rewards, utility and originality of N clips, their features' diversity."""

    first: Values
    second: Values
    utility: Values | None
    copied: float
    diversity: float


class Guards:
    """Compares models with the base of a study.

    tokens: the encoding, whose split `valid` has the prompts.
    """

    def __init__(self, study: Study, base: nn.Module, tokens: TokenSet) -> None:
        settings = study_settings(study.card["settings"])
        bars = settings.clips.prompt_bars + settings.clips.bars
        self.study, self.base, self.settings = study, base, settings
        self.family = study.card["base"]["family"]
        self.representation = build_representation(study.card["base"]["codec"]["representation"])
        self.prompts = prompt_pieces(tokens, "valid", settings.clips.guard, bars)
        self.before = self._measured(study.guard)

    def row(self, model: nn.Module, kl_budget: float) -> dict[str, float]:
        """Columns of the learning curve.

        kl: nats a clip, of the model's own clips under it minus under the base. first, second,
        utility: gains over the base in standard deviations (utility: in logits), with the bounds of
        95 % intervals. diversity: Vendi score as a share of the base's. copied: share of notes in
        passages of the training set, as a difference from the base. aside: clips that could not be
        used. With the corpus as referee, rate_<statistic> of all clips and nearness, the gain of J
        that those rates make. ok: 1 where `is_within`.
        """
        clips = self.draw(model)
        now = self._measured(clips)
        by_base = clip_nats(self.base, clips)
        kl = float((by_base - clips.nats).mean())
        row = {"kl": kl, "diversity": now.diversity / self.before.diversity}
        row |= {"copied": now.copied - self.before.copied, "aside": sum(clips.aside.values())}
        for name in ("first", "second", "utility"):
            new, old = getattr(now, name), getattr(self.before, name)
            if new is None or old is None:
                continue
            if list(clips.prompts) == list(
                self.study.guard.prompts
            ):  # none failed that the other has
                groups = self.study.guard.prompts
                gain = mean_interval(new - old, seed=self.settings.seed, groups=groups)
                row |= {name: gain.value, f"{name}_low": gain.low, f"{name}_high": gain.high}
            else:
                row[name] = float(new.mean() - old.mean())
        first = self.study.rewards.first
        if isinstance(first, Rates):
            names = list(first.weights)
            rates, before = (
                rates_of(counts_of(pieces, names))
                for pieces in (clips.pieces, self.study.guard.pieces)
            )
            row["nearness"] = first.nearness(rates) - first.nearness(before)
            row |= {f"rate_{name}": rate for name, rate in zip(names, rates, strict=True)}
        row["ok"] = float(is_within(row, kl_budget))
        return {key: round(float(value), 6) for key, value in row.items()}

    def draw(self, model: nn.Module) -> Clips:
        """The model's clips of the held-out prompts."""
        sampler = sampler_of(model, self.representation, self.family)
        return draw_clips(
            sampler,
            self.representation,
            self.prompts,
            self.settings.clips,
            each=GUARDED,
            seed=self.settings.seed,
        )

    def features(self, clips: Clips) -> Features:
        """Of clips, under the base."""
        return features_of(self.base, clips)

    def _measured(self, clips: Clips) -> Measured:
        features = self.features(clips)
        first, second = self.study.rewards.of(clips, features)
        utility = self.study.utility
        shares = [self.study.passages.shared(piece).share for piece in clips.pieces]
        return Measured(
            first,
            second,
            utility.of(clips.pieces) if utility else None,
            float(np.nanmean(shares)),
            vendi_score(features.trunk),
        )


def is_within(row: dict[str, float], kl_budget: float) -> bool:
    """Whether a model diverges by at most the budget, its samples are diverse enough, and the 95 %
    interval of what the guarding reward changed does not lie below 0.
    """
    fell = row.get("second_high", 0.0) < 0
    return row["kl"] <= kl_budget and row["diversity"] >= LEAST_DIVERSITY and not fell


def objective(row: dict[str, float], kl_budget: float) -> float:
    """What the kept model minimises: minus the gain by the reward that is never trained against.

    With the corpus as referee that reward guards what must not be lost, and where it has not
    clearly fallen, nearness to the corpus decides. The untuned base has 0, and a model that
    `is_within` refuses is worse than any other. Where the two rewards part, the second falls and
    this rises: after `patience` such evaluations training ends.
    """
    if is_within(row, kl_budget):
        return 0.0 - row.get("nearness", row["second"])
    beyond = max(0.0, row["kl"] / kl_budget - 1) + max(0.0, LEAST_DIVERSITY - row["diversity"])
    return 100.0 + beyond + max(0.0, -row["second"])


def clip_nats(model: nn.Module, clips: Clips) -> Values:
    """Nats of the new positions of every clip under a model, (N,)."""
    with torch.no_grad():
        found: Values = new_nats(model, padded(clips.tokens), clips.starts).double().numpy()
    return found


def new_nats(model: nn.Module, tokens_NTW: Tensor, starts: Any) -> Tensor:
    """Nats of all sub-tokens after each clip's prompt, (N,); differentiable."""
    device = next(model.parameters()).device
    tokens_NTW = tokens_NTW.to(device)
    nats_NTW: Tensor = model.score(tokens_NTW)  # type: ignore[operator]
    position_T = torch.arange(tokens_NTW.shape[1], device=device)
    first_N = torch.as_tensor(list(starts), device=device)
    new_NT1 = (position_T >= first_N[:, None])[..., None]
    return (nats_NTW * (new_NT1 & (tokens_NTW != PAD))).sum(dim=(1, 2)).cpu()


def vendi_score(features_NF: Tensor) -> float:
    """The effective number of different clips (Friedman & Dieng 2023): the exponential of the
    entropy of the eigenvalues of K / N, K the cosine similarity of centred features.

    1 where all are alike, N where none has anything in common.
    """
    centred = features_NF.double() - features_NF.double().mean(dim=0)
    unit = torch.nn.functional.normalize(centred, dim=1)
    values = torch.linalg.eigvalsh(unit @ unit.T / len(unit)).clamp(min=0)
    values = values[values > 1e-12]
    return float(torch.exp(-(values * values.log()).sum()))
