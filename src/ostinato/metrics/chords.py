"""How much of the music keeps to given chords."""

# C chords

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ostinato.metrics.counts import Count
from ostinato.music.chords import parse_progression
from ostinato.music.piece import Piece
from ostinato.music.timing import bar_onsets

Chord = tuple[float, Sequence[int]]  # onset in quarters, pitch classes; none: no chord


def chord_tones(piece: Piece, chords: Sequence[Chord]) -> Count:
    """Time of notes whose pitch class belongs to the chord of that time / time of notes, in
    quarters.

    Chords last until the next one. Drums, and what sounds before the first chord or where a chord
    has no pitch classes, do not count.

    Raises:
        ValueError: onsets that do not rise, or a pitch class outside 0..11.
    """
    onsets = np.array([onset for onset, _ in chords], dtype=np.float64)
    if (np.diff(onsets) <= 0).any():
        raise ValueError(f"chords begin at {onsets.tolist()}: onsets must rise")
    belongs = np.zeros((len(chords), 12), dtype=bool)
    for row, (onset, classes) in enumerate(chords):
        if not all(0 <= c < 12 for c in classes):
            raise ValueError(f"the chord at {onset:g} has pitch classes {list(classes)}: 0 to 11")
        belongs[row, list(classes)] = True
    is_drum = np.array([track.is_drum for track in piece.tracks], dtype=bool)
    notes = piece.notes[~is_drum[piece.notes["track"]]]
    begin = notes["onset"] / piece.ticks_per_quarter
    end = begin + notes["duration"] / piece.ticks_per_quarter
    ends = np.append(onsets[1:], np.inf)
    inside = above = 0.0
    for number in np.flatnonzero(belongs.any(axis=1)).tolist():
        common = np.minimum(end, ends[number]) - np.maximum(begin, onsets[number])
        time = np.maximum(common, 0.0)
        inside += float(time.sum())
        above += float(time[belongs[number][notes["pitch"] % 12]].sum())
    return Count(above, inside)


def progression_of(piece: Piece, text: str) -> list[Chord]:
    """The chords of a progression such as `Dm7 G7 | Cmaj7` over a piece's bars, from its beginning
    again when it is over; see `music.chords.parse_progression`.
    """
    bars, lines = parse_progression(text), bar_onsets(piece)
    meter = piece.meters[-1] if piece.meters else piece.first_meter()
    last = round(meter.bar_quarters() * piece.ticks_per_quarter)
    found: list[Chord] = []
    for number, (start, end) in enumerate(pairwise([*lines, lines[-1] + last] if lines else [])):
        chords = bars[number % len(bars)]
        for place, chord in enumerate(chords):
            onset = (start + place * (end - start) / len(chords)) / piece.ticks_per_quarter
            found.append((onset, sorted(chord.classes) if chord else []))
    return found
