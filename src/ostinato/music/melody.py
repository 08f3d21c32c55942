"""Extracts the melody of a piece, and a fingerprint of it that does not depend on the key.

A melody is its sequence of pitch intervals without repeated notes, so transposition, rhythm and
repeated syllables do not change it. normalization/tunes.py finds pieces with similar melodies.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes, Piece

SHORTEST = 8  # steps by which a melody identifies a piece


def melody_of(piece: Piece) -> Notes:
    """Notes of the soprano or melody track; without one, the highest note at every onset."""
    for role in ("soprano", "melody"):
        notes = piece.voice(role)
        if len(notes):
            return _highest_at_onset(notes)
    drums = [i for i, track in enumerate(piece.tracks) if track.is_drum]
    return _highest_at_onset(piece.notes[~np.isin(piece.notes["track"], drums)])


def _highest_at_onset(notes: Notes) -> Notes:
    ordered = notes[np.lexsort((-notes["pitch"], notes["onset"]))]
    first = np.diff(ordered["onset"], prepend=-1) != 0
    return ordered[first]


def steps(piece: Piece) -> npt.NDArray[np.int64]:
    """The melody's pitch steps in semitones, without repeated notes."""
    moves = np.diff(melody_of(piece)["pitch"]).astype(np.int64)
    return moves[moves != 0]


def intervals(piece: Piece) -> tuple[int, ...]:
    """`steps` as plain numbers."""
    return tuple(steps(piece).tolist())


def fingerprint(piece: Piece) -> str:
    """Sixteen hex digits, equal for equal melodies in any key."""
    text = ",".join(str(step) for step in intervals(piece))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
