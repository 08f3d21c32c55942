"""Checks that a likelihood is exact: every sub-token scored once, no padding, no future seen.

Step by step a model cannot see the future: the logits of a sub-token are computed before it is
pushed, and their softmax sums to one. A parallel pass with the same nats for every sub-token is
therefore the product of the chain rule, and its sum over whole pieces is their likelihood.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.evaluation.autoregressive.mixture import Predictor
from ostinato.loading.batches import whole_pieces
from ostinato.loading.tokens import TokenSet
from ostinato.models.spec import PAD

TOLERANCE = 1e-4  # relative, and in nats: of sums in another order in single precision
PADDING = 5


class InexactLikelihood(ValueError):
    """A model's score is not the likelihood of what it was given."""


@torch.inference_mode()
def stepwise_nats(model: Predictor, piece_TW: Tensor) -> Tensor:
    """Nats of every sub-token of one piece, each computed before it is pushed; shape (T, W)."""
    state: Any = model.start(1, len(piece_TW))
    nats = torch.zeros(piece_TW.shape)
    for position, row in enumerate(piece_TW):
        for column in model.order:
            logits = model.next_logits(state)
            nats[position, column] = F.cross_entropy(logits, row[None, column])
            model.push(state, row[None, column])
    return nats


@torch.inference_mode()
def check_exact(model: Predictor, piece_TW: Tensor) -> None:
    """Compare a model's parallel score of a piece, padded beside a longer one, with the steps of
    both.

    Raises:
        InexactLikelihood: naming the first sub-token that costs something else, or padding that
            costs anything.
    """
    model.eval()
    length, width = piece_TW.shape
    repeats = -(-(length + PADDING) // length)
    longer = piece_TW.repeat(repeats, 1)[: length + PADDING]
    padded = torch.full_like(longer, PAD)
    padded[:length] = piece_TW
    scored = model.score(torch.stack([padded, longer]))
    if scored.shape != (2, length + PADDING, width):
        raise InexactLikelihood(
            f"score gives nats of shape {tuple(scored.shape)} for tokens of shape "
            f"{(2, length + PADDING, width)}; it must give one number for each sub-token"
        )
    paid = scored[0, length:]
    if (paid != 0).any():
        raise InexactLikelihood(
            f"padding costs {float(paid.sum()):.4f} nats; it must cost none: leave it out of score"
        )
    steps = stepwise_nats(model, longer)  # which begins with the piece
    for found in (scored[0, :length], scored[1]):
        close = torch.isclose(found, steps[: len(found)], rtol=TOLERANCE, atol=TOLERANCE)
        if not close.all():
            position, column = (~close).nonzero()[0].tolist()
            raise InexactLikelihood(
                f"sub-token {column} of position {position} costs "
                f"{float(found[position, column]):.4f} nats in one pass and "
                f"{float(steps[position, column]):.4f} step by step, where nothing sees the "
                "future: score and the steps of this model must say the same"
            )


def count_cells(tokens: TokenSet, split: str) -> int:
    """How many sub-tokens `score_split` scores, after checking that each is scored once.

    Raises:
        InexactLikelihood: a piece is left out, twice there, or not what the encoding holds.
    """
    part, cells = tokens.splits[split], 0
    met: list[int] = []
    for numbers, batch in whole_pieces(tokens, split):
        met += numbers
        cells += int((batch != PAD).sum())
        for number, row_TW in zip(numbers, batch.numpy(), strict=True):
            piece_TW = part.tokens_of(number)
            held = np.array_equal(row_TW[: len(piece_TW)], piece_TW)
            if not held or (row_TW[len(piece_TW) :] != PAD).any():
                raise InexactLikelihood(
                    f"{split} piece {part.piece[number]} is not scored as it is encoded"
                )
    if sorted(met) != list(range(len(part))):
        raise InexactLikelihood(f"{split} has {len(part)} pieces, the batches hold {len(met)}")
    return cells


def extreme_pieces(tokens: TokenSet, split: str) -> list[Tensor]:
    """A split's shortest and longest piece, shape (T, W) each: to check a model with, below its
    context and beyond.
    """
    part = tokens.splits[split]
    if not len(part):
        raise ValueError(f"encoding {tokens.name} has no piece in {split}; nothing can be scored")
    numbers = (int(np.argmin(part.length)), int(np.argmax(part.length)))
    return [torch.from_numpy(part.tokens_of(number).astype(np.int64)) for number in numbers]
