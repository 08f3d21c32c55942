"""Chords of a piece that has no symbols, by a rule: the best template of each half bar.

A chord's score in a segment is the share of the sounding time of all pitched notes that its tones
have, minus that of the others, minus a little for every tone that is missing and for four tones
instead of three, plus a little if its root is the bass. The best sequence of chords is that with
the highest sum, where every change costs a little, less on bar lines (Viterbi).
"""

# S segments, C chords

import numpy as np
import numpy.typing as npt

from ostinato.music.chords import KINDS, ROLE, Chord
from ostinato.music.piece import Notes, Piece
from ostinato.music.timing import bar_onsets

ESTIMATED = ("", "m", "7", "maj7", "m7", "dim", "m7b5", "sus4")  # kinds
MISSING, FOURTH, BASS, CHANGE, ON_BAR = 0.12, 0.06, 0.25, 0.25, 0.1
HEARD = 0.04  # share of the sounding time below which a tone is missing
LONG_BAR = 4  # quarters: bars of so many have two segments
Numbers = npt.NDArray[np.float64]
_CHORDS = [Chord(root, kind, root) for kind in ESTIMATED for root in range(12)]
_TONES = np.array([[c in chord.classes for c in range(12)] for chord in _CHORDS], np.float64)


def estimate_chords(piece: Piece) -> list[tuple[int, Chord | None]]:
    """Where which chord begins, in ticks; None where nothing pitched sounds. Rising.

    Drums, and a chord role, are not heard.
    """
    pitched = np.array([not t.is_drum and t.role != ROLE for t in piece.tracks], dtype=bool)
    notes = piece.notes[pitched[piece.notes["track"]]]
    if not len(notes):
        return []
    starts, on_bar = _segments(piece)
    ends = np.append(starts[1:], max(piece.length, starts[-1] + 1))
    chroma_S12, bass_S12 = _heard(notes, starts, ends)
    total_S1 = chroma_S12.sum(axis=1, keepdims=True)
    sounds = total_S1[:, 0] > 0
    share_S12 = chroma_S12 / np.where(total_S1 > 0, total_S1, 1)
    inside_SC = share_S12 @ _TONES.T
    missing_SC = (share_S12 < HEARD).astype(np.float64) @ _TONES.T
    root_C = np.array([chord.root for chord in _CHORDS])
    size_C = _TONES.sum(axis=1) > len(KINDS[""])
    score_SC = 2 * inside_SC - 1 - MISSING * missing_SC - FOURTH * size_C
    score_SC += BASS * bass_S12[:, root_C]
    score_SC[~sounds] = 0.0
    path = _best(score_SC, np.where(on_bar, ON_BAR, CHANGE))
    found: list[tuple[int, Chord | None]] = []
    for start, number, any_sound in zip(starts.tolist(), path, sounds.tolist(), strict=True):
        chord = _CHORDS[number] if any_sound else None
        if not found or found[-1][1] != chord:
            found.append((start, chord))
    return found


def _segments(piece: Piece) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where segments begin, in ticks, and which of them begin bars."""
    lines = [line for line in bar_onsets(piece) if line < piece.length] or [0]
    lines = lines if lines[0] == 0 else [0, *lines]
    starts: list[int] = []
    on_bar: list[bool] = []
    for start, end in zip(lines, [*lines[1:], piece.length], strict=True):
        whole = end - start
        two = whole >= LONG_BAR * piece.ticks_per_quarter
        starts += [start, start + whole // 2] if two else [start]
        on_bar += [True, False] if two else [True]
    return np.array(starts), np.array(on_bar)


def _heard(notes: Notes, starts: npt.NDArray[np.int64], ends: Numbers) -> tuple[Numbers, Numbers]:
    """How long each pitch class sounds in a segment, and its share of the lowest, (S, 12) each."""
    onset = notes["onset"].astype(np.int64)
    until = onset + notes["duration"]
    chroma = np.zeros((len(starts), 12))
    bass = np.zeros((len(starts), 12))
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        length = np.minimum(until, end) - np.maximum(onset, start)
        here = length > 0
        pitch, length = notes["pitch"][here], length[here].astype(np.float64)
        np.add.at(chroma[number], pitch % 12, length)
        if len(pitch):
            low = pitch <= pitch.min() + 2
            np.add.at(bass[number], pitch[low] % 12, length[low])
            bass[number] /= bass[number].sum()
    return chroma, bass


def _best(score_SC: Numbers, change_S: Numbers) -> list[int]:
    """The sequence with the highest sum of scores minus costs of changes."""
    total_C = score_SC[0].copy()
    back: list[Numbers] = []
    for score_C, cost in zip(score_SC[1:], change_S[1:], strict=True):
        best = int(total_C.argmax())
        moved = total_C[best] - cost
        stays = total_C >= moved
        back.append(np.where(stays, np.arange(len(total_C)), best))
        total_C = np.where(stays, total_C, moved) + score_C
    path = [int(total_C.argmax())]
    for step in reversed(back):
        path.append(int(step[path[-1]]))
    return path[::-1]
