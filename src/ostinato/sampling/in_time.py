"""What encodings do not hold of a prompt, in what is made of it: tempos, keys and chord symbols,
and the programs and velocities of what is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

from ostinato.music.piece import Annotation, Key, Piece, Tempo, Track
from ostinato.music.recording import Recording
from ostinato.music.timing import numbered_bars
from ostinato.representations.protocol import Representation
from ostinato.sampling.by_hand import voiced

PLACED = ["onset", "track", "pitch", "velocity"]
Timed = TypeVar("Timed", Tempo, Key, Annotation)


def in_tempo_of(before: Piece, after: Piece) -> Piece:
    """What was made of a piece, with the tempos of that piece, where it has any; encodings hold
    none.
    """
    return replace(after, tempos=_in_time(before.tempos, before, after)) if before.tempos else after


def sounding_as(before: Piece, after: Piece) -> Piece:
    """What was made of a piece, with the programs of its roles and the velocities of its notes:
    those of one role and pitch that begin at the same time in both. A role of several tracks says
    no program.

    before: with the roles of `after`, see `by_hand.voiced`.
    """
    alone = _single_roles(before).keys() & _single_roles(after).keys()
    programs = {role: _single_roles(before)[role].program for role in alone}
    tracks = tuple(
        replace(track, program=programs.get(track.role, track.program)) for track in after.tracks
    )
    scale, pad = _scale_and_pad(before, after)
    velocities = {
        (before.tracks[track].role, pitch, round(onset * scale + pad)): velocity
        for onset, track, pitch, velocity in before.notes[PLACED].tolist()
    }
    notes = after.notes.copy()
    notes["velocity"] = [
        velocities.get((tracks[track].role, pitch, onset), own)
        for onset, track, pitch, own in notes[PLACED].tolist()
    ]
    return replace(after, notes=notes, tracks=tracks)


def as_asked(
    config: Mapping[str, Any],
    read: Mapping[str, Piece],
    representation: Representation,
    made: Piece | Recording,
) -> Piece | Recording:
    """What was made as conf/generate.yaml asks, with the tempos of a prompt unless it names one,
    and with the sound of what is kept.

    read: the files of `prompt` and `end`.
    """
    if "prompt" not in read or isinstance(made, Recording):
        return made
    if "end" not in read:
        made = sounding_as(voiced(read["prompt"], representation), made)
    return made if config["tempo"] else in_tempo_of(read["prompt"], made)


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
    return tuple(replace(x, onset=onset) for x, onset in zip(changes, onsets, strict=True))


def _scale_and_pad(before: Piece, after: Piece) -> tuple[Fraction, Fraction]:
    """A time of a piece, times the first plus the second, is its time in what was made of it."""
    old, new = numbered_bars(before), numbered_bars(after)
    scale = Fraction(after.ticks_per_quarter, before.ticks_per_quarter)
    if len(old) > 1 and old[0][1] == 0 and len(new) > 1 and new[0][1] == 1:
        return scale, new[1][0] - old[1][0] * scale
    return scale, Fraction(0)


def _single_roles(piece: Piece) -> dict[str, Track]:
    """The tracks that are alone in their role, but for drums."""
    roles = [track.role for track in piece.tracks]
    return {t.role: t for t in piece.tracks if roles.count(t.role) == 1 and not t.is_drum}
