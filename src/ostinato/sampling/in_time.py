"""Tempos, keys and chord symbols of a prompt in what is made of it; most encodings hold none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

from ostinato.music.piece import Annotation, Key, Piece, Tempo
from ostinato.music.recording import Recording
from ostinato.music.timing import numbered_bars

Timed = TypeVar("Timed", Tempo, Key, Annotation)


def in_tempo_of(before: Piece, after: Piece) -> Piece:
    """What was made of a piece, with the tempos of that piece, where it has any; encodings hold
    none.
    """
    return replace(after, tempos=_in_time(before.tempos, before, after)) if before.tempos else after


def as_asked(
    config: Mapping[str, Any], read: Mapping[str, Piece], made: Piece | Recording
) -> Piece | Recording:
    """What was made as conf/generate.yaml asks, with the tempos of a prompt unless it names one."""
    if config["tempo"] or "prompt" not in read or isinstance(made, Recording):
        return made
    return in_tempo_of(read["prompt"], made)


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
    old, new = numbered_bars(before), numbered_bars(after)
    scale, pad = Fraction(after.ticks_per_quarter, before.ticks_per_quarter), Fraction(0)
    if len(old) > 1 and old[0][1] == 0 and len(new) > 1 and new[0][1] == 1:
        pad = new[1][0] - old[1][0] * scale
    onsets = [round(x.onset * scale + (pad if x.onset else 0)) for x in changes]
    return tuple(replace(x, onset=onset) for x, onset in zip(changes, onsets, strict=True))
