"""A piece on a grid of steps, as arrays: what sounds, what begins, and the lines it is made of.

A lane is one line of pitches. The pitched tracks of a piece are its lanes, highest first; a piece
of a single track has two, its highest and its lowest sounding pitches. Where a track sounds several
pitches at once, its lane has the highest.
"""

# T steps, L lanes

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.metrics.steps import Steps, steps_of
from ostinato.music.piece import Piece

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


def lanes(piece: Piece) -> Lanes:
    """The lanes of a piece, without drums; notes are rounded to steps and last one at least."""
    notes = steps_of(piece)
    numbers = np.unique(notes.voice_N)
    if len(numbers) == 1:
        found = [_line(notes, None, highest=high) for high in (True, False)]
    else:
        found = [_line(notes, number, highest=True) for number in numbers]
    pitch = np.full((notes.length, len(found)), SILENT)
    begins = np.zeros(pitch.shape, dtype=bool)
    for lane, (line, starts) in enumerate(found):
        pitch[:, lane], begins[:, lane] = line, starts
    heights = [column[column >= 0].mean() if (column >= 0).any() else 0 for column in pitch.T]
    order = np.argsort(-np.array(heights), kind="stable")
    bars = np.zeros(notes.length, dtype=bool)
    bars[notes.bars] = True
    return Lanes(pitch[:, order], begins[:, order], bars)


def roll(piece: Piece) -> Bools:
    """What sounds and what begins at every step, shape (2, T, 128), without drums."""
    notes = steps_of(piece)
    found = np.zeros((2, notes.length, PITCHES), dtype=bool)
    for first, last, pitch in zip(notes.start_N, notes.end_N, notes.note_N, strict=True):
        found[0, first:last, pitch] = True
    found[1, notes.start_N, notes.note_N] = True
    return found


def _line(notes: Steps, track: int | None, *, highest: bool) -> tuple[Pitches, Bools]:
    own = (
        np.flatnonzero(notes.voice_N == track)
        if track is not None
        else np.arange(len(notes.voice_N))
    )
    sign = 1 if highest else -1
    own = own[np.argsort(sign * notes.note_N[own], kind="stable")]
    pitch = np.full(notes.length, SILENT)
    for first, last, value in zip(
        notes.start_N[own], notes.end_N[own], notes.note_N[own], strict=True
    ):
        pitch[first:last] = value
    begins = np.zeros(notes.length, dtype=bool)
    starts = notes.start_N[own]
    begins[starts[pitch[starts] == notes.note_N[own]]] = True
    return pitch, begins
