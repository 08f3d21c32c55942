"""What is known of a piece of events before its values are filled."""

# T tokens

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.models.masked_events.absorbing_events import Model
from ostinato.models.masked_events.parts.kinds import (
    BAR,
    DURATION,
    END,
    METER,
    PITCH,
    POSITION,
    VOICE,
)
from ostinato.music.piece import Piece
from ostinato.representations.protocol import Representation
from ostinato.sampling.masked_events.outlines import Random, Writer
from ostinato.sampling.masked_events.score import HIDDEN, Ints, Score, bar_numbers, kinds_in
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.request import Continue, Fill, Vary
from ostinato.sampling.sampler import Job

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """A piece with hidden values, all of which are to be filled; ended: whether by itself."""

    score: Score
    free: Mask
    ended: bool = True


def plan_of(job: Job, model: Model, representation: Representation, random: Random) -> Plan:
    """The outline of a job, drawn where the request leaves it open.

    Raises:
        ValueError: a prompt that holds no music, or bars that it does not have or that are all of
            it.
    """
    task = job.request.task
    if isinstance(task, Fill):
        return _gap(job, task, model, representation, random)
    if isinstance(task, Vary):
        assert isinstance(task.piece, Piece)
        tokens = _whole(representation, task.piece, job.request.bars)
        return _varied(model, tokens, task.strength, random)
    return _new(job, model, representation, random)


def _new(job: Job, model: Model, representation: Representation, random: Random) -> Plan:
    """From nothing, or after a prompt."""
    task, limit, least = job.request.task, job.request.bars, job.request.min_bars
    writer = Writer(model, random)
    if isinstance(task, Continue):
        assert isinstance(task.prompt, Piece)
        prompt = prompt_of(representation, task.prompt, task.bars)[:, 0].astype(np.int64)
        if not len(prompt):
            name = task.prompt.source or task.prompt.id
            raise ValueError(f"prompt {name} holds no music to continue")
        writer.keep(prompt.tolist(), kinds_in(model.kinds, prompt).tolist())
        least = max(least, int(task.bars) + 1)
    if not writer.kinds:
        writer.bar()
    elif writer.kinds[-1] == BAR:
        writer.meter()
    elif writer.kinds[-1] == POSITION:
        writer.note_after_position()
    silent = [0] * model.kinds.count_K[VOICE]
    while True:
        bars = writer.bars()
        may = [END] if bars >= limit else [BAR] if bars < min(least, limit) else [BAR, END]
        if writer.fill_bar(silent, may) == END:
            break
        writer.bar()
    ended = writer.bars() < limit
    writer.keep([model.kinds.first_K[END]], [END])
    return _plan(model, writer, ended)


def _gap(
    job: Job, task: Fill, model: Model, representation: Representation, random: Random
) -> Plan:
    """Keeps all tokens outside of some bars, and writes the outline of these again."""
    assert isinstance(task.piece, Piece)
    assert task.free.bars is not None
    tokens = _whole(representation, task.piece, job.request.bars)
    kinds = kinds_in(model.kinds, tokens)
    numbers = bar_numbers(kinds) + 1
    first, end = task.free.bars
    last, name = int(numbers[-1]), task.piece.source or task.piece.id
    if first < 1 or end > last + 1:
        raise ValueError(
            f"infill.bars={[first, end]} lie outside prompt {name}, which has bars 1 to {last}: "
            f"name bars that it has, at most infill.bars=[1, {last + 1}]; over events a pickup is "
            "bar 1"
        )
    if (first, end) == (1, last + 1):
        raise ValueError(
            f"bars 1 to {last} are all of prompt {name}: nothing would be kept. Name fewer bars, "
            "or make a new piece with task=unconditional"
        )
    inside = (numbers >= first) & (numbers < end) & (kinds != END)
    begin, stop = np.flatnonzero(inside)[[0, -1]] + [0, 1]
    starts = np.flatnonzero(kinds == BAR)[first - 1 : end - 1]
    ringing = _ringing(model, tokens[:begin], kinds[:begin], tokens, kinds, range(first, end))
    writer = Writer(model, random)
    writer.keep(tokens[:begin].tolist(), kinds[:begin].tolist())
    for start, ends in zip(starts.tolist(), ringing.values(), strict=True):
        writer.keep(tokens[start : start + 2].tolist(), [BAR, METER])
        writer.fill_bar(ends, [BAR, END] if start == starts[-1] and end > last else [BAR])
    writer.keep(tokens[stop:].tolist(), kinds[stop:].tolist())
    return _plan(model, writer, ended=True, ringing=ringing)


def _varied(model: Model, tokens: Ints, share: float, random: Random) -> Plan:
    """Keeps onsets and their voices, and hides pitch and duration of about this share of notes."""
    kinds = kinds_in(model.kinds, tokens)
    places = np.flatnonzero(kinds == PITCH)
    chosen = places[random.random(len(places)) < share]
    free = np.zeros(len(tokens), dtype=bool)
    free[chosen] = free[chosen + 1] = True
    writer = Writer(model, random)
    writer.keep(np.where(free, HIDDEN, tokens).tolist(), kinds.tolist())
    return _plan(model, writer, ended=True)


def _plan(
    model: Model, writer: Writer, ended: bool, ringing: dict[int, list[int]] | None = None
) -> Plan:
    tokens, kinds = np.array(writer.tokens), np.array(writer.kinds)
    steps = model.bar_steps_V.tolist()
    score = Score(model.kinds, tokens, kinds, steps, ringing or {})
    return Plan(score, tokens == HIDDEN, ended)


def _whole(representation: Representation, piece: Piece, limit: int) -> Ints:
    """The tokens of a piece's first `limit` bars, with an end."""
    tokens = prompt_of(representation, piece, limit)[:, 0].astype(np.int64)
    names = representation.vocabulary
    while len(tokens) and names[tokens[-1]].split("_")[0] in ("bar", "position"):
        tokens = tokens[:-1]  # they only take time to the end of the last bar
    if not len(tokens):
        raise ValueError(f"prompt {piece.source or piece.id} holds no music")
    return np.append(tokens, 0)


def _ringing(
    model: Model, known: Ints, known_kinds: Ints, tokens: Ints, kinds: Ints, bars: range
) -> dict[int, list[int]]:
    """By bar of the gap, from 0, when each voice's notes of before end, from its bar line."""
    first, steps_V = model.kinds.first_K, model.bar_steps_V.cpu().numpy()
    lengths = steps_V[tokens[kinds == METER]]
    starts = np.append(0, np.cumsum(lengths))
    ends = np.zeros(model.kinds.count_K[VOICE], np.int64)
    bar, time, voice = -1, 0, 0
    for token, kind in zip(known.tolist(), known_kinds.tolist(), strict=True):
        if kind == BAR:
            bar += 1
        elif kind == POSITION:
            time = int(starts[bar]) + token - first[POSITION]
        elif kind == VOICE:
            voice = token - first[VOICE]
        elif kind == DURATION:
            ends[voice] = time + token - first[DURATION] + 1
    return {number - 1: [max(0, int(end - starts[number - 1])) for end in ends] for number in bars}
