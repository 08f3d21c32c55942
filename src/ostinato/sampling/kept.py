"""What encodings do not hold of a prompt, in what is made of it: tempos, keys and chord symbols,
and the programs and velocities of what is kept.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from ostinato.music.piece import Annotation, Key, Piece, Tempo, cut
from ostinato.music.recording import Recording
from ostinato.music.timing import numbered_bars
from ostinato.sampling.by_hand import named
from ostinato.sampling.request import Continue

PLACED = ["onset", "track", "pitch", "velocity"]
Timed = TypeVar("Timed", Tempo, Key, Annotation)


def in_tempo_of(before: Piece, after: Piece) -> Piece:
    """What was made of a piece, with the tempos of that piece, where it has any; encodings hold
    none.
    """
    return replace(after, tempos=_in_time(before.tempos, before, after)) if before.tempos else after


def sounding_as(before: Piece, after: Piece) -> Piece:
    """What was made of a piece, with the programs and velocities of what is kept: each track has
    those of the track that has its notes, by pitch and onset. That is one with at least half of
    them, within the length of the piece, or with any and the same role.
    """
    scale, pad = _scale_and_pad(before, after)
    theirs: list[dict[tuple[int, int], int]] = [{} for _ in before.tracks]
    for onset, number, pitch, velocity in before.notes[PLACED].tolist():
        theirs[number][round(onset * scale + pad), pitch] = velocity
    end, tracks, notes = before.length * scale + pad, list(after.tracks), after.notes.copy()
    for number, track in enumerate(after.tracks):
        mine = np.flatnonzero(notes["track"] == number)
        places = [tuple(place) for place in notes[mine][["onset", "pitch"]].tolist()]
        within = [place for place in places if place[0] < end]
        shared = [sum(place in found for place in within) for found in theirs]
        if not shared or not max(shared):
            continue
        best = shared.index(max(shared))
        source = before.tracks[best]
        is_role = bool(track.role) and source.role == track.role
        if source.is_drum != track.is_drum or not (is_role or 2 * max(shared) >= len(within)):
            continue
        known = {place: v for found in (*theirs, theirs[best]) for place, v in found.items()}
        own = notes["velocity"][mine].tolist()
        notes["velocity"][mine] = [known.get(p, v) for p, v in zip(places, own, strict=True)]
        if not track.is_drum:
            tracks[number] = replace(track, program=source.program)
    return replace(after, notes=notes, tracks=tuple(tracks))


def heard_of(prompt: Piece, bars: float) -> Piece:
    """The pickup and the first bars of a prompt, which a continuation keeps."""
    lines = [*numbered_bars(prompt), (prompt.length, math.inf)]
    after = [onset for onset, number in lines if number > int(bars)]
    part = Fraction(bars - int(bars)).limit_denominator(64)
    end = after[0] + part * (after[1] - after[0] if len(after) > 1 else 0)
    return cut(prompt, 0, min(prompt.length, round(end)))


def as_asked(
    config: Mapping[str, Any],
    read: Mapping[str, Piece],
    made: Piece | Recording,
) -> Piece | Recording:
    """What was made as conf/generate.yaml asks, with the tempos of a prompt unless it names one,
    and with the sound of what is kept.

    read: the files of `prompt` and `end`.
    """
    if "prompt" not in read or isinstance(made, Recording):
        return made
    kept = read["prompt"]
    if named(config, read) == Continue.name:
        kept = heard_of(kept, config["prompt_bars"])
    made = made if "end" in read else sounding_as(kept, made)
    is_named = config["tempo"] or config["options"].get("tempo")
    return made if is_named else in_tempo_of(kept, made)


def with_signs(before: Piece, after: Piece) -> Piece:
    """What was made of a piece, with its keys and chord symbols, where it has none of its own."""
    chords = tuple(sign for sign in before.annotations if sign.kind == "chord")
    if chords and not any(sign.kind == "chord" for sign in after.annotations):
        signs = (*after.annotations, *_in_time(chords, before, after))
        after = replace(after, annotations=tuple(sorted(signs, key=lambda sign: sign.onset)))
    return after if after.keys else replace(after, keys=_in_time(before.keys, before, after))


def _in_time(changes: Sequence[Timed], before: Piece, after: Piece) -> tuple[Timed, ...]:
    """Changes in a piece at their times in what was made of it. They come later where an encoding
    fills a pickup up to a bar.
    """
    scale, pad = _scale_and_pad(before, after)
    onsets = [round(x.onset * scale + (pad if x.onset else 0)) for x in changes]
    return tuple(
        replace(x, onset=onset)
        for x, onset in zip(changes, onsets, strict=True)
        if onset < after.length or not onset
    )


def _scale_and_pad(before: Piece, after: Piece) -> tuple[Fraction, Fraction]:
    """A time of a piece, times the first plus the second, is its time in what was made of it."""
    old, new = numbered_bars(before), numbered_bars(after)
    scale = Fraction(after.ticks_per_quarter, before.ticks_per_quarter)
    if len(old) > 1 and old[0][1] == 0 and len(new) > 1 and new[0][1] == 1:
        return scale, new[1][0] - old[1][0] * scale
    return scale, Fraction(0)
