"""Bars of any length as time signatures, which are all that MIDI knows of bars, and pickups back.

A bar that is not as long as its meter gets a time signature of its length, and the next one that of
the meter again; so every program draws the bar lines of the piece. Of such a file a first bar is
known to be a pickup; inner ones stay meters of their own.
"""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from ostinato.music.piece import Annotation, Meter, Piece
from ostinato.music.timing import bar_onsets

FINEST = 64  # the largest denominator of a time signature


def with_signatures(piece: Piece) -> Piece:
    """Meters that draw the annotated bars; a piece without any is unchanged."""
    if not any(note.kind == "bar" for note in piece.annotations):
        return piece
    onsets = sorted({0, *bar_onsets(piece)})
    found: list[Meter] = []
    for onset, end in [*pairwise(onsets), (onsets[-1], None)]:
        held = [meter for meter in piece.meters if meter.onset <= onset]
        meter = held[-1] if held else Meter(0, 4, 4)
        length = None if end is None else Fraction(end - onset, piece.ticks_per_quarter)
        wanted = replace(_of_length(meter, length), onset=onset)
        if not found or replace(found[-1], onset=onset) != wanted:
            found.append(wanted)
    return replace(piece, meters=tuple(found))


def with_pickup(piece: Piece) -> Piece:
    """Bars annotated, where the first of several meters holds for a single shorter bar."""
    first, second = (*piece.meters, None, None)[:2]
    if not first or not second or first.onset or first.bar_quarters() >= second.bar_quarters():
        return piece
    if second.onset != first.bar_quarters() * piece.ticks_per_quarter:
        return piece
    bars = tuple(Annotation(onset, "bar") for onset in bar_onsets(piece))
    notes = sorted((*piece.annotations, *bars), key=lambda note: (note.onset, note.kind))
    meters = (replace(second, onset=0), *piece.meters[2:])
    return replace(piece, meters=meters, annotations=tuple(notes))


def _of_length(meter: Meter, quarters: Fraction | None) -> Meter:
    """The signature of a bar of so many quarters, in the meter's own unit if that is possible."""
    if quarters is None or quarters == meter.bar_quarters():
        return meter
    denominator = meter.denominator
    while denominator <= FINEST:
        numerator = quarters * denominator / 4
        if numerator.denominator == 1 and 0 < numerator <= 255:
            return replace(meter, numerator=int(numerator), denominator=denominator)
        denominator *= 2
    return meter
