"""A piece as arrays of sixteenth steps: what each voice sounds, where notes begin, where beats are.

A voice is a track without the drum flag. Onsets and ends are rounded to the nearest sixteenth
(halves upwards) and every note lasts at least one step, so shorter notes may fall together. Where a
voice sounds several notes at once, the one that began last is its pitch, and of those the highest.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import VOICES, Piece
from ostinato.music.timing import bar_onsets, round_half_up

PER_QUARTER = 4  # steps
REST = -1
CLASSES = 12
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


# V voices in the order of the tracks, T steps, N notes
@dataclass(frozen=True, eq=False)
class Steps:
    """What sounds in every step.

    Args:
        pitch_VT: MIDI pitch that a voice sounds, REST for none.
        onset_VT: a note of the voice begins.
        overlap_VT: the voice sounds more than one note.
        classes_T: bit c is set where pitch class c sounds in any voice.
        bass_T: the lowest pitch that sounds, REST for none.
        voice_N, start_N, end_N, note_N: of every note, ordered by onset: its voice, its first step,
            the step after its last, its pitch.
        bars: first step of every bar, ascending (`music.timing.bar_onsets`).
        roles: of the voices.
    """

    pitch_VT: Numbers
    onset_VT: Mask
    overlap_VT: Mask
    classes_T: Numbers
    bass_T: Numbers
    voice_N: Numbers
    start_N: Numbers
    end_N: Numbers
    note_N: Numbers
    bars: Numbers
    roles: tuple[str, ...]

    @property
    def length(self) -> int:
        """Number of steps, up to the end of the last note."""
        return len(self.classes_T)

    @property
    def sounding(self) -> Mask:
        """The voice sounds; shape (V, T)."""
        return self.pitch_VT != REST

    def bar_ends(self) -> Numbers:
        """First step after every bar."""
        return np.r_[self.bars[1:], self.length][: len(self.bars)]

    def on_beat(self) -> Mask:
        """A quarter begins with the step, counted from the start of its bar; shape (T,)."""
        step = np.arange(self.length)
        bar = np.searchsorted(self.bars, step, side="right")
        from_bar = step - np.r_[0, self.bars][bar]
        return np.asarray((bar > 0) & (from_bar % PER_QUARTER == 0))

    def by_register(self) -> Numbers:
        """The voices from high to low: soprano to bass by their roles, others by mean pitch."""
        if set(self.roles) <= set(VOICES) and len(set(self.roles)) == len(self.roles):
            return np.argsort([VOICES.index(role) for role in self.roles], kind="stable")
        counts = np.bincount(self.voice_N, minlength=len(self.roles))
        sums = np.bincount(self.voice_N, self.note_N, minlength=len(self.roles))
        return np.argsort(-sums / np.maximum(counts, 1), kind="stable")


def steps_of(piece: Piece) -> Steps:
    """The steps of a piece."""
    roles = tuple(track.role for track in piece.tracks if not track.is_drum)
    is_drum = np.array([track.is_drum for track in piece.tracks], dtype=bool)
    notes = piece.notes[~is_drum[piece.notes["track"]]]
    voice = (np.cumsum(~is_drum) - 1)[notes["track"]]
    pitch, onset = notes["pitch"].astype(np.int64), notes["onset"].astype(np.int64)
    scale = PER_QUARTER, piece.ticks_per_quarter
    start = round_half_up(onset, *scale)
    lasts = np.maximum(round_half_up(onset + notes["duration"], *scale), start + 1) - start
    length = int((start + lasts).max(initial=0))
    # one entry for every step of every note; of repeated cells the last assignment stays
    step = np.repeat(start - np.cumsum(lasts) + lasts, lasts) + np.arange(lasts.sum())
    cell = np.repeat(voice * length, lasts) + step
    sounds = np.repeat(pitch, lasts)
    pitches = np.full(len(roles) * length, REST)
    pitches[cell] = sounds
    begins = np.zeros(len(pitches), dtype=bool)
    begins[voice * length + start] = True
    classes = np.zeros(length, dtype=np.int64)
    np.bitwise_or.at(classes, step, 1 << (sounds % CLASSES))
    bass = np.full(length, np.iinfo(np.int64).max)
    np.minimum.at(bass, step, sounds)
    bars = np.unique(round_half_up(np.array(bar_onsets(piece)), *scale))
    shape = (len(roles), length)
    return Steps(
        pitches.reshape(shape),
        begins.reshape(shape),
        (np.bincount(cell, minlength=len(pitches)) > 1).reshape(shape),
        classes,
        np.where(classes > 0, bass, REST),
        voice,
        start,
        start + lasts,
        pitch,
        bars[bars < length],
        roles,
    )
