"""Draws clips from a model as it is: continuations of the first bars of given pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.feedback.settings import ClipSettings
from ostinato.loading.tokens import Split, TokenSet
from ostinato.music.piece import Piece
from ostinato.representations.protocol import Representation
from ostinato.sampling.prompts import as_piece, prompt_of
from ostinato.sampling.request import Continue, EncodedPiece, Request
from ostinato.sampling.sampler import Job, Sampler
from ostinato.seeds import seed_of

Array = npt.NDArray[Any]
# the model's own distribution: nothing is truncated, sharpened or avoided
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "split": 0.0}


@dataclass(frozen=True)
class Clips:
    """N clips: tokens (T, W) each, the first new position, names of their prompts, their pieces
    with the prompt, and nats of the new positions under the model that made them.
    """

    tokens: Sequence[Array]
    starts: Sequence[int]
    prompts: Sequence[str]
    pieces: Sequence[Piece]
    nats: npt.NDArray[np.float64]

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

    What fails to decode is left out.
    """
    known = sampler.capabilities().options
    bars = settings.prompt_bars + settings.bars
    options = {key: value for key, value in PLAIN.items() if key in known}
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
    for made, start, name in zip(sampler.sample(jobs), starts, names, strict=True):
        if made.failed or made.nats is None or len(made.tokens) - start < 2:
            continue
        whole = representation.decode(made.tokens)
        nats = float(made.nats[start:].sum(dtype=np.float64))
        kept.append((made.tokens, start, name, whole, nats))
    columns: list[Any] = list(zip(*kept, strict=True)) or [()] * 5
    found, first, prompted, pieces, nats = columns
    return Clips(found, first, prompted, pieces, np.array(nats))
