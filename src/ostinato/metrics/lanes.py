"""A piece on a grid of steps, as arrays: what sounds, what begins, and the lines it is made of.

A lane is one line of pitches. The pitched tracks of a piece are its lanes, highest first; a piece
of a single track has two, its highest and its lowest sounding pitches. Where a track sounds several
pitches at once, its lane has the highest.
"""

# T steps, L lanes

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Piece
from ostinato.music.timing import bar_onsets, round_half_up

STEPS_PER_QUARTER = 4
PITCHES = 128
SILENT = -1
Bools = npt.NDArray[np.bool_]
Pitches = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lanes:
    """pitch: (T, L), SILENT where a lane is silent. begins: (T, L), where a note of it begins.

    bars: (T,), where a bar begins.
    """

    pitch: Pitches
    begins: Bools
    bars: Bools


@dataclass(frozen=True, eq=False)
class _Stepped:
    track: Pitches
    first: Pitches
    last: Pitches
    pitch: Pitches
    steps: int


def lanes(piece: Piece) -> Lanes:
    """The lanes of a piece, without drums; notes are rounded to steps and last one at least."""
    notes = _stepped(piece)
    numbers = np.unique(notes.track)
    if len(numbers) == 1:
        found = [_line(notes, None, highest=high) for high in (True, False)]
    else:
        found = [_line(notes, number, highest=True) for number in numbers]
    pitch = np.full((notes.steps, len(found)), SILENT)
    begins = np.zeros(pitch.shape, dtype=bool)
    for lane, (line, starts) in enumerate(found):
        pitch[:, lane], begins[:, lane] = line, starts
    heights = [column[column >= 0].mean() if (column >= 0).any() else 0 for column in pitch.T]
    order = np.argsort(-np.array(heights), kind="stable")
    bars = np.zeros(notes.steps, dtype=bool)
    at = round_half_up(np.array(bar_onsets(piece)), STEPS_PER_QUARTER, piece.ticks_per_quarter)
    bars[at[at < notes.steps]] = True
    return Lanes(pitch[:, order], begins[:, order], bars)


def roll(piece: Piece) -> Bools:
    """What sounds and what begins at every step, shape (2, T, 128), without drums."""
    notes = _stepped(piece)
    found = np.zeros((2, notes.steps, PITCHES), dtype=bool)
    for first, last, pitch in zip(notes.first, notes.last, notes.pitch, strict=True):
        found[0, first:last, pitch] = True
    found[1, notes.first, notes.pitch] = True
    return found


def _line(notes: _Stepped, track: int | None, *, highest: bool) -> tuple[Pitches, Bools]:
    own = np.flatnonzero(notes.track == track) if track is not None else np.arange(len(notes.track))
    sign = 1 if highest else -1
    own = own[np.argsort(sign * notes.pitch[own], kind="stable")]
    pitch = np.full(notes.steps, SILENT)
    for first, last, value in zip(notes.first[own], notes.last[own], notes.pitch[own], strict=True):
        pitch[first:last] = value
    begins = np.zeros(notes.steps, dtype=bool)
    starts = notes.first[own]
    begins[starts[pitch[starts] == notes.pitch[own]]] = True
    return pitch, begins


def _stepped(piece: Piece) -> _Stepped:
    drums = [number for number, track in enumerate(piece.tracks) if track.is_drum]
    notes = piece.notes[~np.isin(piece.notes["track"], drums)]
    onsets = notes["onset"].astype(np.int64)
    scale = STEPS_PER_QUARTER, piece.ticks_per_quarter
    first = round_half_up(onsets, *scale)
    last = np.maximum(round_half_up(onsets + notes["duration"], *scale), first + 1)
    track, pitch = (notes[name].astype(np.int64) for name in ("track", "pitch"))
    return _Stepped(track, first, last, pitch, int(last.max(initial=0)))
