"""What is known of a piece before its bars are drawn: its bar lines, what is kept, and vectors."""

# T positions, W columns, S segments, Z dimensions

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ostinato.models.variational.vae import Model
from ostinato.music.piece import Piece
from ostinato.representations.protocol import Extent, Representation, Tokens
from ostinato.sampling.bar_lines import REST, blank_rows
from ostinato.sampling.prompts import check_alike, prompt_of
from ostinato.sampling.request import Continue, Interpolate, Prompt, Vary
from ostinato.sampling.sampler import Job

Random = np.random.Generator


@dataclass(frozen=True)
class Plan:
    """Rows (T, W), of which the first `kept` are given.

    wanted: vectors of all segments, (S, Z), where a task has some. strength: how far from them
    to go, 1 all the way to the prior. ended: whether the rows end by themselves.
    """

    rows: Tokens
    kept: int = 0
    ended: bool = True
    wanted: Tensor | None = None
    strength: float = 1.0


def plan_of(job: Job, model: Model, representation: Representation, random: Random) -> Plan:
    """The plan of a job; draws bar lines where the request leaves them open.

    Raises:
        ValueError: a prompt without music, or two pieces that cannot be interpolated.
    """
    task, limit = job.request.task, job.request.bars
    if isinstance(task, Vary):
        rows = _opening(representation, task.piece, limit)
        if task.strength == 0:
            return Plan(rows, kept=len(rows))
        return Plan(rows, wanted=vectors_of(model, rows), strength=task.strength)
    if isinstance(task, Interpolate):
        share = (job.index - job.request.first + 1) / (job.request.n + 1)
        return between(model, representation, task, limit, share)
    prompt, least = np.zeros((0, representation.width), np.int32), job.request.min_bars
    if isinstance(task, Continue):
        assert isinstance(task.prompt, Piece)
        prompt = prompt_of(representation, task.prompt, task.bars)
        if not len(prompt):
            raise ValueError(f"prompt {_name(task.prompt)} holds no music to continue")
        least = max(least, int(task.bars) + 1)
    grammar = representation.grammar(Extent(limit, min(limit, least)), [prompt])
    rows, ended = blank_rows(prompt, model.bar_lines, grammar, random)
    return Plan(rows, kept=len(prompt), ended=ended)


@torch.inference_mode()
def between(
    model: Model, representation: Representation, task: Interpolate, limit: int, share: float
) -> Plan:
    """A piece `share` of the way from one to the other: vectors of segments that begin with the
    same row are mixed. Bar lines and the end are those of the nearer piece.

    Raises:
        ValueError: pieces that have different numbers of bars, or bars of different lengths.
    """
    assert isinstance(task.start, Piece)
    assert isinstance(task.end, Piece)
    check_alike(representation, task.start, task.end, limit)
    pieces = [_opening(representation, piece, limit) for piece in (task.start, task.end)]
    near, far = (0, 1) if share <= 0.5 else (1, 0)
    weight, wanted = min(share, 1 - share), vectors_of(model, pieces[near])
    others = dict(zip(_firsts(model, pieces[far]), vectors_of(model, pieces[far]), strict=True))
    for place, first in enumerate(_firsts(model, pieces[near])):
        if first in others:  # a bar that a repeat sign splits in one piece may not be in the other
            wanted[place] = wanted[place].lerp(others[first], weight)
    return Plan(pieces[near], wanted=wanted, strength=0.0)


@torch.inference_mode()
def vectors_of(model: Model, rows: Tokens) -> Tensor:
    """The means of the posterior of every segment, (S, Z)."""
    segments = model.segments(_batch(model, rows))
    return model.encoded(segments)[1].mean


def _firsts(model: Model, rows: Tokens) -> list[int]:
    """The first row of every segment."""
    codes_T = model.segments(_batch(model, rows)).rows[0]
    return ((codes_T >= 0) & (codes_T % model.config.span == 0)).nonzero()[:, 0].tolist()


def _opening(representation: Representation, prompt: Prompt, limit: int) -> Tokens:
    """The first `limit` bars of a piece, with its end if it has no more."""
    assert isinstance(prompt, Piece)
    rows, whole = prompt_of(representation, prompt, limit), representation.encode(prompt)
    if not (rows[:, -1] != REST).any() and not (rows != REST).any():
        raise ValueError(f"prompt {_name(prompt)} holds no music")
    return whole if len(whole) == len(rows) + 1 else rows


def _batch(model: Model, rows: Tokens) -> Tensor:
    return torch.from_numpy(rows.astype(np.int64))[None].to(model.columns_V.device)


def _name(piece: Prompt) -> str:
    source = piece.source if isinstance(piece, Piece) else ""
    return source or piece.id
