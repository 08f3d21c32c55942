"""The folder data/feedback/<study>: all that a training needs of its study, checked when opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from ostinato.feedback.card import ROOT, read_card
from ostinato.feedback.clips import Clips
from ostinato.feedback.preferences import Pairs
from ostinato.feedback.rates import Rates
from ostinato.feedback.reward import Ensemble, Features
from ostinato.feedback.statistics import Utility
from ostinato.files import verify
from ostinato.metrics.passages import PassageIndex
from ostinato.representations.protocol import Representation
from ostinato.representations.registry import build as build_representation

Array = npt.NDArray[Any]


def clip_arrays(clips: Clips) -> dict[str, Array]:
    """Clips as arrays, without their pieces."""
    return {
        "tokens": np.concatenate(list(clips.tokens)),
        "length": np.array([len(tokens) for tokens in clips.tokens]),
        "start": np.array(clips.starts),
        "prompt": np.array(clips.prompts),
        "nats": clips.nats,
    }


def clips_from(arrays: Any, representation: Representation) -> Clips:
    """The clips of `clip_arrays`."""
    ends = np.cumsum(arrays["length"])[:-1]
    tokens = [part.astype(np.int32) for part in np.split(arrays["tokens"], ends)]
    pieces = [representation.decode(part) for part in tokens]
    starts = arrays["start"].tolist()
    return Clips(tokens, starts, arrays["prompt"].tolist(), pieces, arrays["nats"])


@dataclass(frozen=True)
class Rewards:
    """The reward that is maximised and the one that guards it; the other fields as stored.

    Learned ones read a clip's features under the base; with the corpus as referee the first is
    Rates and the second the nearness of other statistics.
    """

    first: Ensemble | Utility | Rates
    second: Ensemble | Utility | Rates

    @property
    def agree(self) -> bool:
        """Whether both estimate one utility, so that the second tells what the first has gained."""
        return not isinstance(self.first, Rates)

    def of(self, clips: Clips, features: Features) -> tuple[Array, Array]:
        """Both rewards of every clip, (N,) each, in standard deviations among the base's clips."""
        return self._one(self.first, clips, features), self._one(self.second, clips, features)

    @staticmethod
    def _one(reward: Ensemble | Utility | Rates, clips: Clips, features: Features) -> Array:
        if isinstance(reward, Ensemble):
            return reward.reward(features).double().numpy()
        return reward.of(clips.pieces)


@dataclass(frozen=True)
class Study:
    """An opened study. card: study.json. clips, pairs: what was judged. guard: the base's clips of
    held-out prompts. utility: the known one of simulated listeners, else None. base: weights.
    """

    folder: Path
    card: dict[str, Any]
    clips: Clips
    guard: Clips
    pairs: Pairs
    rewards: Rewards
    utility: Utility | None
    passages: PassageIndex
    base: dict[str, Tensor]


def open_study(learns_from: str) -> Study:
    """Open and verify a study.

    Raises:
        MissingInput, DamagedFile: names the file and the command that makes it.
    """
    from safetensors.torch import load_file

    card, folder = read_card(learns_from), ROOT / learns_from
    verify(folder, card["checksums"], f"dvc repro feedback@{folder.name}")
    representation = build_representation(card["base"]["codec"]["representation"])
    arrays = {
        name: dict(np.load(folder / f"{name}.npz"))
        for name in ("clips", "guard", "pairs", "passages")
    }
    weights = load_file(folder / "rewards.safetensors") if card["reward"]["learned"] else {}
    found = [_reward(card["reward"][name], weights, name) for name in ("first", "second")]
    return Study(
        folder=folder,
        card=card,
        clips=clips_from(arrays["clips"], representation),
        guard=clips_from(arrays["guard"], representation),
        pairs=Pairs(**arrays["pairs"]),
        rewards=Rewards(*found),
        utility=Utility(**card["utility"]) if card["utility"] else None,
        passages=PassageIndex(arrays["passages"]),
        base=load_file(folder / "base.safetensors"),
    )


def _reward(
    card: dict[str, Any], weights: dict[str, Tensor], name: str
) -> Ensemble | Utility | Rates:
    if "rates" in card:
        return Rates(**card["rates"])
    if "utility" in card:
        return Utility(**card["utility"])
    found = Ensemble(card["features"], card["members"])
    own = {k.partition(".")[2]: v for k, v in weights.items() if k.startswith(f"{name}.")}
    found.load_state_dict(own)
    return found.requires_grad_(False)


def frozen_base(model: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """A model of the base's family with the base's weights, that does not learn."""
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)
