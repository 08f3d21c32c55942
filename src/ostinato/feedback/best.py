"""The best of several candidates by the reward of a study: the cheap rival of tuning.

Any system can be judged whose music the study's base can encode: what is scored is the piece.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import nn

from ostinato.feedback.clips import Clips
from ostinato.feedback.folder import frozen_base, open_study
from ostinato.feedback.reward import features_of
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.music.piece import Piece
from ostinato.representations.bars import first_bars
from ostinato.representations.protocol import Unencodable
from ostinato.representations.registry import build as build_representation
from ostinato.sampling.candidates import count_of, of_one
from ostinato.sampling.request import Request
from ostinato.sampling.write import Sample
from ostinato.seeds import seed_of

ALL_BARS = 1 << 20


class Generates(Protocol):
    """A generator of any system."""

    def generate_all(self, requests: Sequence[Request]) -> list[Sample]:
        """The pieces of several requests, one request after the other."""


def candidates_of(request: Request, count: int) -> list[Request]:
    """`count` requests that differ in their seed; the first is the request itself."""
    seeds = [request.seed, *(seed_of(request.seed, "candidate", n) for n in range(1, count))]
    return [replace(request, seed=seed) for seed in seeds]


class Judge:
    """The reward that a study's tuned systems maximise. folder: data/feedback/<study>. count: of
    candidates for each piece.

    Raises:
        MissingInput, DamagedFile: names the file and the command that makes it.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self.study = open_study(str(folder.resolve()))
        base = self.study.card["base"]
        self.simulated = bool(self.study.card["simulated"])
        self.representation = build_representation(base["codec"]["representation"])
        model = build(base["family"], base["model"], ArraySpec.of(base["codec"]))
        self._base: nn.Module = frozen_base(model, self.study.base)

    def best(self, generator: Generates, request: Request) -> list[Sample]:
        """For each piece of a request, the candidate with the highest reward.

        Raises:
            ValueError: a candidate that the base cannot encode.
        """
        made = generator.generate_all(candidates_of(request, self.count))
        groups = [made[number :: request.n] for number in range(request.n)]
        return [max(group, key=self._reward) for group in groups]

    def _reward(self, sample: Sample) -> float:
        """Of one sample; minus infinity for what failed."""
        if not isinstance(sample.piece, Piece):
            return -np.inf
        try:
            piece = self.representation.quantize(sample.piece).piece
            tokens = first_bars(self.representation, piece, ALL_BARS)
        except Unencodable as error:
            raise ValueError(
                f"the reward of {self.study.folder} is of music as {self.study.card['encoding']} "
                f"encodes it, and this system made something else: {error}"
            ) from error
        bars = float(sample.row.get("prompt_bars") or 0)
        start = len(first_bars(self.representation, piece, bars)) if bars else 0
        clips = Clips([tokens], [start], [""], [piece], np.zeros(1))
        return float(self.study.rewards.of(clips, features_of(self._base, clips))[0][0])


def judge_of(config: Mapping[str, Any]) -> tuple[Judge | None, dict[str, Any]]:
    """The judge of conf/generate.yaml, if it names a reward, and the settings of one candidate: the
    samplers' own best_of goes by nats.

    Raises:
        ValueError: there are no candidates to choose from.
    """
    if not config["reward"]:
        return None, dict(config)
    judge, alone = Judge(Path(config["reward"]), count_of(config)), of_one(config)
    if judge.simulated:
        note = f"note: the preferences of {config['reward']} are simulated; nobody was asked"
        print(note, file=sys.stderr)  # noqa: T201
    return judge, alone
