"""Reward models: ensembles of heads on the base model's features, fitted to pairs.

Bradley and Terry (1952): P(better beats worse) = σ(r(better) - r(worse)); the loss is its negative
logarithm, as Christiano et al. (2017) and Stiennon et al. (2020) train reward models. Heads are
linear in the mean of the base model's trunk outputs and in statistics of the notes: the trunk alone
predicts these little (docs/feedback.md). What is maximised is the ensemble's mean minus its
standard deviation (Coste et al. 2024), in standard deviations among the base model's clips.
"""

# N clips, T positions, D width of the trunk, S statistics, F = D + S features, M members

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.feedback.clips import Clips
from ostinato.feedback.preferences import Pairs
from ostinato.feedback.settings import RewardSettings
from ostinato.feedback.statistics import REFEREED, STATISTICS, statistics_of
from ostinato.metrics.bootstrap import mean_interval
from ostinato.models.spec import PAD
from ostinato.seeds import seed_of

Values = npt.NDArray[np.float64]
BINS = 5  # of the calibration


@dataclass(frozen=True)
class Features:
    """Of N clips: means of the trunk's outputs after their prompts, (N, D), and statistics of
    their notes, (N, S), NaN where there is nothing to count.
    """

    trunk: Tensor
    notes: Values

    def all(self) -> Tensor:
        """Both, (N, F)."""
        return torch.cat([self.trunk, torch.from_numpy(self.notes).float()], dim=1)


def padded(clips: Sequence[npt.NDArray[Any]]) -> Tensor:
    """Clips of shape (T, W) each as one tensor (N, T, W), PAD after their ends."""
    out = np.full((len(clips), max(map(len, clips)), clips[0].shape[1]), PAD, np.int64)
    for row, clip in enumerate(clips):
        out[row, : len(clip)] = clip
    return torch.from_numpy(out)


@torch.no_grad()
def features_of(model: nn.Module, clips: Clips, batch: int = 64) -> Features:
    """What a model as it is makes of clips, and the statistics of docs/feedback.md."""
    chain: Any = model.chain
    found: list[Tensor] = []
    hook = chain.register_forward_pre_hook(lambda _, given: found.append(given[0].float().cpu()))
    device = next(model.parameters()).device
    means = []
    try:
        for first in range(0, len(clips), batch):
            rows = padded(clips.tokens[first : first + batch])
            model.score(rows.to(device))  # type: ignore[operator]
            starts = torch.tensor(list(clips.starts[first : first + batch]))
            new_NT = torch.arange(rows.shape[1]) > starts[:, None]  # what has read a new position
            weights = (new_NT & (rows[..., 0] != PAD)).float()
            weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
            means.append(torch.einsum("ntf,nt->nf", found.pop(), weights))
    finally:
        hook.remove()
    heard = [name for name in STATISTICS if name not in REFEREED]
    return Features(torch.cat(means), statistics_of(clips.pieces, heard))


class Ensemble(nn.Module):
    """M linear heads; `center` and `scale` standardize features, `mean` and `spread` the reward.

    What has nothing to count counts as the mean.
    """

    center: Tensor
    scale: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, features: int, members: int) -> None:
        super().__init__()
        self.heads = nn.Parameter(torch.zeros(members, features))
        for name, size in (("center", features), ("scale", features), ("mean", 1), ("spread", 1)):
            self.register_buffer(name, torch.ones(size) * (name in ("scale", "spread")))

    def forward(self, features: Features) -> Tensor:
        """Rewards of every clip by every member, (M, N)."""
        x = ((features.all() - self.center) / self.scale).nan_to_num(0.0)
        return self.heads @ x.T

    @torch.no_grad()
    def reward(self, features: Features) -> Tensor:
        """What is maximised, (N,): mean minus standard deviation of the members, standardized."""
        members = self(features)
        found: Tensor = (members.mean(dim=0) - members.std(dim=0) - self.mean) / self.spread
        return found


def fit_ensemble(features: Features, pairs: Pairs, settings: RewardSettings, seed: int) -> Ensemble:
    """Heads fitted to pairs, each to its own draw of the listeners, by L-BFGS.

    The squared weights are added to the loss: `penalty` times those of statistics, and D / S times
    that those of the trunk, of which there are more.
    """
    known = features.all()
    model = Ensemble(known.shape[1], settings.members)
    model.center.copy_(known.nanmean(dim=0))
    model.scale.copy_((known - model.center).square().nanmean(dim=0).sqrt().clamp(min=1e-4))
    names, who = np.unique(pairs.listener, return_inverse=True)
    rng = np.random.default_rng(seed_of(seed, "listeners"))
    drawn = rng.integers(0, len(names), (settings.members, len(names)))
    counts = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])[:, who]
    weights = torch.from_numpy(counts / counts.sum(axis=1, keepdims=True)).float()
    better, worse = torch.from_numpy(pairs.better), torch.from_numpy(pairs.worse)
    size = features.trunk.shape[1]
    ratio = size / features.notes.shape[1]
    penalty = settings.penalty * torch.where(torch.arange(known.shape[1]) < size, ratio, 1.0)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=settings.steps, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        rewards = model(features)
        fit = -(F.logsigmoid(rewards[:, better] - rewards[:, worse]) * weights).sum()
        total: Tensor = fit + (penalty * model.heads.square()).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        members = model(features)
        single = members.mean(dim=0) - members.std(dim=0)
        model.mean.fill_(single.mean())
        model.spread.fill_(single.std().clamp(min=1e-6))
    return model.requires_grad_(False)


def report_of(rewards: Values, pairs: Pairs, seed: int) -> dict[str, Any]:
    """How rewards of clips (N,) agree with held-out pairs: accuracy with its interval over
    listeners, the loss in nats a choice, and calibration.

    Calibration is of σ(difference) in BINS equal bins: mean prediction and observed share, with
    expected calibration error (Guo et al. 2017). Presentation order was random, so half of the
    pairs are looked at from the side of the loser.
    """
    difference = rewards[pairs.better] - rewards[pairs.worse]
    correct = np.where(difference == 0, 0.5, difference > 0)
    turned = np.arange(len(difference)) % 2 == 1
    predicted = 1 / (1 + np.exp(-np.where(turned, -difference, difference)))
    bins, table, error = np.minimum((predicted * BINS).astype(int), BINS - 1), [], 0.0
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            said, saw = float(predicted[inside].mean()), float((~turned[inside]).mean())
            table.append({"predicted": said, "observed": saw, "pairs": int(inside.sum())})
            error += inside.mean() * abs(said - saw)
    return {
        "accuracy": mean_interval(correct, seed=seed, groups=pairs.listener).plain(),
        "nats": float(np.logaddexp(0, -difference).mean()),
        "calibration": table,
        "calibration_error": float(error),
    }


def trivial_rewards(
    values: Mapping[str, Values], train: Pairs, test: Pairs, seed: int
) -> dict[str, Any]:
    """Accuracies of one number of a clip, such as its notes, in the direction that fits `train`."""
    found = {}
    for name, column in values.items():
        up = (column[train.better] > column[train.worse]).mean()
        down = (column[train.better] < column[train.worse]).mean()
        found[name] = report_of(column * (1.0 if up >= down else -1.0), test, seed)["accuracy"]
    return found
