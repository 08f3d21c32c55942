"""What is known of a piece before its bars are drawn: its bar lines, what is kept, and vectors."""

# T positions, W columns, S segments, Z dimensions

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ostinato.models.variational.vae import Model
from ostinato.music.piece import Piece
from ostinato.music.timing import numbered_bars
from ostinato.representations.protocol import Mask, Representation, Tokens
from ostinato.sampling.grids.opening import REST, Random, opening_of
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.request import Interpolate, Prompt, Vary
from ostinato.sampling.sampler import Job

Key = tuple[int, int]  # number of a score bar, and which segment of it


@dataclass(frozen=True)
class Plan:
    """Rows (T, W).

    kept: which rows are given, (T,); None: none. wanted: vectors of all segments, (S, Z), where a
    task has some. strength: how far from them to go, 1 all the way to the prior. hears: whether
    rows that follow such vectors also depend on the rows before. ended: whether the rows end by
    themselves.
    """

    rows: Tokens
    kept: Mask | None = None
    ended: bool = True
    wanted: Tensor | None = None
    strength: float = 1.0
    hears: bool = False

    def is_kept(self) -> Mask:
        """Which rows are given, (T,)."""
        return np.zeros(len(self.rows), dtype=bool) if self.kept is None else self.kept


def plan_of(job: Job, model: Model, representation: Representation, random: Random) -> Plan:
    """The plan of a job; draws bar lines where the request leaves them open.

    Raises:
        ValueError: a prompt without music, or two pieces that cannot be interpolated.
    """
    task, limit = job.request.task, job.request.bars
    if isinstance(task, Vary):
        rows = _opening(representation, task.piece, limit)
        if task.strength == 0:
            return Plan(rows, kept=np.ones(len(rows), dtype=bool))
        return Plan(rows, wanted=vectors_of(model, rows), strength=task.strength)
    if isinstance(task, Interpolate):
        share = (job.index - job.request.first + 1) / (job.request.n + 1)
        return between(model, representation, task, limit, share)
    opening = opening_of(job, model.bar_lines, representation, random)
    kept = np.arange(len(opening.rows)) < opening.kept
    return Plan(opening.rows, kept=kept, ended=opening.ended)


@torch.inference_mode()
def between(
    model: Model, representation: Representation, task: Interpolate, limit: int, share: float
) -> Plan:
    """A piece `share` of the way from one to the other: vectors of bars with the same number are
    mixed. Bar lines are those of the nearer piece; where only that has a segment, such as a pickup,
    its vector is taken as it is.

    Raises:
        ValueError: pieces that have different numbers of bars, or another meter in a bar; it names
            both.
    """
    pieces = [_opening(representation, piece, limit) for piece in (task.start, task.end)]
    keys = [_keys(model, representation, rows) for rows in pieces]
    counts = [max(bar for bar, _ in of_piece) for of_piece in keys]
    if counts[0] != counts[1]:
        raise ValueError(
            f"{_name(task.start)} has {counts[0]} bars and {_name(task.end)} has {counts[1]} (of "
            f"the first bars={limit}); give bars={min(counts)} to take the first ones of both"
        )
    _check_meters(task, counts[0])
    vectors = [vectors_of(model, rows) for rows in pieces]
    near, far = (0, 1) if share <= 0.5 else (1, 0)
    places = {key: place for place, key in enumerate(keys[far])}
    weight, wanted = share if near == 0 else 1 - share, vectors[near].clone()
    for place, key in enumerate(keys[near]):
        if key in places:
            wanted[place] = wanted[place].lerp(vectors[far][places[key]], weight)
    return Plan(pieces[near], wanted=wanted, strength=0.0)


def _check_meters(task: Interpolate, bars: int) -> None:
    """Raise ValueError for a bar whose meters differ; of several, the last may be incomplete."""
    start, end = _meters(task.start), _meters(task.end)
    for bar in range(1, max(bars, 2)):
        if start[bar] != end[bar]:
            before = f", or bars={bar - 1} to take the bars before" if bar > 1 else ""
            raise ValueError(
                f"bar {bar} of {_name(task.start)} is in {start[bar]} and that of "
                f"{_name(task.end)} in {end[bar]}, and only beats of one meter can be mixed: give "
                f"two pieces in the same meter{before}"
            )


def _meters(piece: Prompt) -> dict[int, str]:
    """The meter of every score bar by its number."""
    assert isinstance(piece, Piece)
    found = {}
    for onset, number in numbered_bars(piece):
        known = [piece.first_meter(), *(m for m in piece.meters if m.onset <= onset)][-1]
        found[number] = f"{known.numerator}/{known.denominator}"
    return found


@torch.inference_mode()
def vectors_of(model: Model, rows: Tokens) -> Tensor:
    """The means of the posterior of every segment, (S, Z)."""
    segments = model.segments(_batch(model, rows))
    return model.encoded(segments)[1].mean


def _keys(model: Model, representation: Representation, rows: Tokens) -> list[Key]:
    """Which part of which score bar every segment is."""
    segments = model.segments(_batch(model, rows))
    span, codes = model.config.span, segments.rows[0].cpu().numpy()
    firsts = np.flatnonzero((codes >= 0) & (codes % span == 0))
    starts = representation.bar_starts(rows)
    numbers: npt.NDArray[np.int64] = np.array(sorted(starts))
    bars = numbers[np.searchsorted([starts[n] for n in numbers], firsts, side="right") - 1]
    keys, part = [(int(bars[0]), 0)], 0
    for before, bar in pairwise(bars.tolist()):
        part = part + 1 if bar == before else 0
        keys.append((bar, part))
    return keys


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
