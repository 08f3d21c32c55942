"""Notes that make parallel fifths or octaves, and which pitches would not.

Single cells of a note hardly ever leave it, so passes that redraw cells leave parallels as they
are. Here whole notes change their pitch and keep their rhythm.
"""

# T positions, V voices, P pitches

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.models.spec import Voices
from ostinato.representations.protocol import Mask

SILENT = -1
PERFECT = (0, 7)  # unison or octave, fifth, modulo 12
Pitches = npt.NDArray[np.int64]  # (T, V): what sounds, from the lowest pitch; SILENT for none


class Note(NamedTuple):
    """Steps [start, end) of a voice."""

    voice: int
    start: int
    end: int


def sounding(cells_TV: npt.NDArray[np.int64], voices: Voices) -> tuple[Pitches, Mask]:
    """What sounds in every cell, and where a note or a rest begins."""
    begins_TV = np.ones(cells_TV.shape, dtype=bool)
    begins_TV[1:] = cells_TV[1:] != cells_TV[:-1]
    if voices.hold >= 0:
        begins_TV = cells_TV != voices.hold
        steps_T1 = np.arange(len(cells_TV))[:, None]
        last_TV = np.maximum.accumulate(np.where(begins_TV, steps_T1, 0), axis=0)
        cells_TV = np.take_along_axis(cells_TV, last_TV, axis=0)
    pitch_TV = cells_TV - voices.lowest
    there_TV = (pitch_TV >= 0) & (pitch_TV < voices.pitches)
    return np.where(there_TV, pitch_TV, SILENT), begins_TV


def parallels_of(pitch_TV: Pitches) -> list[tuple[int, int, int]]:
    """(step, voice, other voice) wherever both move and keep a fifth or an octave between them."""
    was, now = pitch_TV[:-1], pitch_TV[1:]
    moves = (was != now) & (was >= 0) & (now >= 0)
    sizes = np.abs(pitch_TV[:, :, None] - pitch_TV[:, None, :]) % 12
    kept = (sizes[1:] == sizes[:-1]) & np.isin(sizes[1:], PERFECT)
    kept &= moves[:, :, None] & moves[:, None, :]
    return [(t + 1, a, b) for t, a, b in np.argwhere(kept).tolist() if a < b]


def notes_to_mend(
    pitch_TV: Pitches, begins_TV: Mask, free_TV: Mask, random: np.random.Generator
) -> list[list[Note]]:
    """The free notes before and after each parallel, one of which is to change; no two parallels
    whose notes touch in time.
    """
    found = parallels_of(pitch_TV)
    taken, chosen = np.zeros(len(pitch_TV) + 1, dtype=bool), []
    for number in random.permutation(len(found)).tolist():
        step, *pair = found[number]
        notes = [note_at(begins_TV, voice, at) for voice in pair for at in (step, step - 1)]
        notes = [note for note in notes if free_TV[note.start : note.end, note.voice].all()]
        around = slice(
            max(0, min((note.start for note in notes), default=0) - 1),
            max((note.end for note in notes), default=0) + 1,
        )
        if notes and not taken[around].any():
            taken[around] = True
            chosen.append(notes)
    return chosen


def note_at(begins_TV: Mask, voice: int, step: int) -> Note:
    """The note that sounds in a voice at a step."""
    starts = np.flatnonzero(begins_TV[:, voice])
    place = int(np.searchsorted(starts, step, side="right"))
    start = int(starts[place - 1]) if place else 0
    end = int(starts[place]) if place < len(starts) else len(begins_TV)
    return Note(voice, start, end)


def avoided(pitch_TV: Pitches, note: Note, pitches: int) -> Mask:
    """Pitches, (P,), by which a note would make a parallel where it begins or ends, or would be
    one with its neighbor.
    """
    candidates = np.arange(pitches)
    mask = np.zeros(pitches, dtype=bool)
    for inside, outside in ((note.start, note.start - 1), (note.end - 1, note.end)):
        if not 0 <= outside < len(pitch_TV):
            continue
        beyond = pitch_TV[outside, note.voice]
        mask |= candidates == beyond
        for other in range(pitch_TV.shape[1]):
            here, there = pitch_TV[inside, other], pitch_TV[outside, other]
            silent = min(beyond, here, there) == SILENT
            if other == note.voice or silent or here == there:
                continue
            size = abs(beyond - there) % 12
            if size in PERFECT:
                mask |= np.abs(candidates - here) % 12 == size
    return mask
