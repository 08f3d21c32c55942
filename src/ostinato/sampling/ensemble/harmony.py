"""Chords that a request gives, or that a prompt has, as the part of the chord role."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from ostinato.music.chord_estimate import estimate_chords
from ostinato.music.chords import (
    ROLE,
    Chord,
    parse_progression,
    with_chord_role,
    with_chords,
)
from ostinato.music.piece import NOTE, Meter, Piece
from ostinato.representations.events.parts.roles_write import steps_of_bars
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import Tokens, read_meter

COMPING = ("piano", "guitar", "strings", "chords", "organ", "pad")  # roles that play chords


def progression_tokens(known: Roles, text: str, bars: int, meter: str) -> Tokens:
    """So many bars of a progression in a meter, 4/4 where none is given, and nothing else."""
    numerator, denominator = read_meter(meter or "4/4")
    bar = known.steps_per_quarter * 4 * numerator // denominator
    empty = Piece(
        id="",
        ticks_per_quarter=known.steps_per_quarter,
        notes=np.empty(0, NOTE),
        tracks=(),
        meters=(Meter(0, numerator, denominator),),
    )
    return _under(known, empty, text, [bar * number for number in range(bars + 1)])


def under_progression(known: Roles, tokens: Tokens, text: str) -> Tokens:
    """A prompt under a progression, in place of its own chords."""
    lines = [0, *np.cumsum(steps_of_bars(known.layout, tokens)).tolist()]
    return _under(known, without_chords(known.decode(tokens)), text, lines)


def _under(known: Roles, piece: Piece, text: str, lines: list[int]) -> Tokens:
    """A piece without chords under a progression, which begins again when it is over.

    lines: bar lines in steps, the end of the last bar among them.

    Raises:
        ValueError: see `parse_progression`; or a progression without any chord.
    """
    progression = parse_progression(text)
    if not any(chord for bar in progression for chord in bar):
        raise ValueError(f"chords={text!r} names no chord; leave chords out")
    chords: list[tuple[int, Chord | None]] = []
    for number, (start, end) in enumerate(pairwise(lines)):
        bar = progression[number % len(progression)]
        chords += [(start + i * (end - start) // len(bar), chord) for i, chord in enumerate(bar)]
    quantized = known.quantize(with_chords(piece, chords, lines)).piece
    return known.write(quantized, bars=len(lines) - 1)


def without_chords(piece: Piece) -> Piece:
    """A piece without symbols and chord role."""
    numbers = [i for i, track in enumerate(piece.tracks) if track.role == ROLE]
    notes = piece.notes[~np.isin(piece.notes["track"], numbers)]
    tracks = tuple(replace(t, role="") if t.role == ROLE else t for t in piece.tracks)
    kept = tuple(sign for sign in piece.annotations if sign.kind != "chord")
    return replace(piece, notes=notes, tracks=tracks, annotations=kept)


def heard(piece: Piece) -> Piece:
    """A prompt with its chords as a chord role: of its symbols, or estimated where several roles
    or one that plays chords tell them; a melody alone has none.
    """
    if any(track.role == ROLE for track in piece.tracks):
        return piece
    if any(sign.kind == "chord" for sign in piece.annotations):
        return with_chord_role(piece)[0]
    playing = {piece.tracks[i] for i in np.unique(piece.notes["track"]).tolist()}
    roles = {track.role for track in playing if not track.is_drum}
    if len(roles) < 2 and not roles & set(COMPING):
        return piece
    return with_chords(piece, estimate_chords(piece))
