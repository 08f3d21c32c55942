"""How a piece is made sayable in events: full first bars, meters on bar lines, no doubled note."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ostinato.music.piece import Annotation, Meter, Notes, Piece
from ostinato.music.timing import round_half_up

BarSteps = Callable[[Meter], int]


def end_at_repeats(notes: Notes) -> tuple[Notes, int]:
    """Notes that end where the same track strikes their pitch again, and how many were left out.

    Of notes that begin together the longest stays.
    """
    order = np.lexsort((-notes["duration"], notes["onset"], notes["pitch"], notes["track"]))
    ordered = notes[order]
    same = (ordered["track"][1:] == ordered["track"][:-1]) & (
        ordered["pitch"][1:] == ordered["pitch"][:-1]
    )
    double = np.r_[False, same & (ordered["onset"][1:] == ordered["onset"][:-1])][: len(notes)]
    kept = ordered[~double].copy()
    again = (kept["track"][1:] == kept["track"][:-1]) & (kept["pitch"][1:] == kept["pitch"][:-1])
    gaps = np.where(again, np.diff(kept["onset"]), np.iinfo(np.int32).max)
    kept["duration"][:-1] = np.minimum(kept["duration"][:-1], gaps)
    return kept, int(double.sum())


def end_of(notes: Notes) -> int:
    """Where the last note ends; 0 without notes."""
    return int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0


def pickup_as_rests(piece: Piece, meters: Sequence[str]) -> Piece:
    """A piece whose pickup is written as a bar of a meter of its own, as in MIDI files, with the
    meter after it from the start and a bar line where the pickup ends.

    meters: those that can be said; a first meter that can be is no pickup.
    """
    if (
        len(piece.meters) < 2
        or f"{piece.meters[0].numerator}/{piece.meters[0].denominator}" in meters
    ):
        return piece
    first, second = piece.meters[:2]
    bar = first.bar_quarters() * piece.ticks_per_quarter
    if first.onset > 0 or second.onset != bar or first.bar_quarters() >= second.bar_quarters():
        return piece
    line = Annotation(second.onset, "bar")
    opening = (replace(second, onset=0), *piece.meters[2:])
    return replace(piece, meters=opening, annotations=(*piece.annotations, line))


def missing_steps(piece: Piece, steps_per_quarter: int, bar_steps: BarSteps) -> int:
    """Steps that a pickup bar lacks: 0 unless the first of several annotated bars is too short."""
    lines = [a.onset for a in piece.annotations if a.kind == "bar" and a.onset > 0]
    if not lines:
        return 0
    first = int(round_half_up(np.array(min(lines)), steps_per_quarter, piece.ticks_per_quarter))
    full = bar_steps(_opening(piece.meters))
    return full - first if 0 < first < full else 0


def meters_in_steps(piece: Piece, steps_per_quarter: int, moved: int) -> list[Meter]:
    """The meter changes on the nearest steps, all but the opening one `moved` steps later."""
    changes = []
    for meter in piece.meters:
        step = int(round_half_up(np.array(meter.onset), steps_per_quarter, piece.ticks_per_quarter))
        changes.append(replace(meter, onset=step + moved if meter.onset > 0 else 0))
    return changes


def meters_on_bar_lines(
    changes: Sequence[Meter], length: int, bar_steps: BarSteps
) -> tuple[Meter, ...]:
    """Real changes only, each on the next bar line of the meter before it, while the music lasts.

    Of several that meet on one bar line the last holds. Without a meter at 0 the music begins in
    4/4.

    Args:
        changes: onsets in steps, in order.
        length: of the music in steps.
        bar_steps: raises where a meter has no place in the vocabulary.
    """
    kept = [_opening(changes)]
    for change in changes:
        last = kept[-1]
        onset = last.onset
        if change.onset > onset:
            onset += -(-(change.onset - onset) // bar_steps(last)) * bar_steps(last)
        if onset >= max(length, 1):
            break
        if onset == last.onset:
            kept.pop()
        if not kept or _signature(kept[-1]) != _signature(change):
            kept.append(replace(change, onset=onset))
    for meter in kept:
        bar_steps(meter)
    return tuple(kept)


def _opening(meters: Sequence[Meter]) -> Meter:
    return meters[0] if meters and meters[0].onset == 0 else Meter(0, 4, 4)


def _signature(meter: Meter) -> tuple[int, int]:
    return meter.numerator, meter.denominator
