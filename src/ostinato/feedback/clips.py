"""Draws clips from a model as it is: continuations of the first bars of given pieces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.feedback.settings import ClipSettings
from ostinato.loading.tokens import Split, TokenSet
from ostinato.music.piece import Piece
from ostinato.representations.protocol import Representation
from ostinato.sampling.prompts import as_piece, prompt_of
from ostinato.sampling.request import Continue, EncodedPiece, Request
from ostinato.sampling.sampler import Job, Made, Sampler
from ostinato.seeds import seed_of

Array = npt.NDArray[Any]
# the model's own distribution: nothing is truncated, sharpened or avoided, unless settings say so
PLAIN: Mapping[str, Any] = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "no_repeat": 0,
    "best_of": 1,
    "split": 0.0,
    "motion": 1.0,
    "no_parallels": False,
    "end_on": "any",
}
LEAST = 2  # positions that a clip adds to its prompt


@dataclass(frozen=True)
class Clips:
    """N clips: tokens (T, W) each, the first new position, names of their prompts, their pieces
    with the prompt, and nats of the new positions under the model that made them.

    aside: how many others were set aside, by reason.
    """

    tokens: Sequence[Array]
    starts: Sequence[int]
    prompts: Sequence[str]
    pieces: Sequence[Piece]
    nats: npt.NDArray[np.float64]
    aside: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)


def prompt_pieces(tokens: TokenSet, split: str, count: int, bars: int) -> list[EncodedPiece]:
    """The first `count` pieces of a split that are longer than a clip.

    Raises:
        ValueError: there are fewer.
    """
    part: Split = tokens.splits[split]
    long = [n for n in range(len(part)) if not part.bars[n] < bars]
    if len(long) < count:
        raise ValueError(
            f"{count} prompts of {split} are asked for, and encoding {tokens.name} has {len(long)} "
            f"pieces of {bars} bars or more there: ask for fewer, or for shorter clips"
        )
    return [EncodedPiece(str(part.piece[n]), part.tokens_of(n), tokens.codec) for n in long[:count]]


def draw_clips(
    sampler: Sampler,
    representation: Representation,
    prompts: Sequence[EncodedPiece],
    settings: ClipSettings,
    *,
    each: int,
    seed: int,
) -> Clips:
    """`each` clips for every prompt; a clip depends on (seed, prompt, its number) alone.

    Raises:
        ValueError: none can be used; it has the reasons. A few of them are set aside and counted.
    """
    known = sampler.capabilities().options
    bars = settings.prompt_bars + settings.bars
    chosen = {key: getattr(settings, key) for key in ("top_p", "split", "motion")}
    options = {key: value for key, value in {**PLAIN, **chosen}.items() if key in known}
    jobs, starts = [], []
    for prompt in prompts:
        piece = as_piece(prompt, representation, prompt.codec)
        task = Continue(piece, settings.prompt_bars)
        request = Request(task=task, bars=bars, min_bars=bars, n=each, options=options)
        start = len(prompt_of(representation, piece, settings.prompt_bars))
        for number in range(each):
            jobs.append(Job(request, number, seed_of(seed, prompt.id, number)))
            starts.append(start)
    names = [prompt.id for prompt in prompts for _ in range(each)]
    kept: list[tuple[Array, int, str, Piece, float]] = []
    aside: Counter[str] = Counter()
    for made, start, name in zip(sampler.sample(jobs), starts, names, strict=True):
        reason = _unusable(made, start)
        if reason or made.nats is None:
            aside[reason or "no likelihood"] += 1
            continue
        whole = representation.decode(made.tokens)
        total = float(made.nats[start:].sum(dtype=np.float64))
        kept.append((made.tokens, start, name, whole, total))
    if not kept:
        said = ", ".join(f"{count} clips: {reason}" for reason, count in aside.items())
        raise ValueError(f"no clip of {len(jobs)} can be used: {said}")
    found, first, prompted, pieces, nats = map(list, zip(*kept, strict=True))
    return Clips(found, first, prompted, pieces, np.array(nats), dict(sorted(aside.items())))


def _unusable(made: Made, start: int) -> str | None:
    """Why what was made is no clip, or None. start: the first position after the prompt."""
    if len(made.tokens) - start < LEAST:
        return f"fewer than {LEAST} positions after the prompt"
    return made.failed
