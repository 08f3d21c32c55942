"""Finds pieces that share a melody, whatever their key, so that a split never separates them.

A melody is its chain of pitch intervals, repeated notes left out: transposition, rhythm and
repeated syllables do not change it. Two pieces belong together when half of the shorter one's
passages of `SHINGLE` intervals occur in the other; groups are the connected components.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes, Piece

SHINGLE = 8
SHARED = 0.5


def melody_of(piece: Piece) -> Notes:
    """The soprano or melody track; without one, the highest note at every onset."""
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
    """The melody's pitch steps in semitones, repeated notes left out."""
    moves = np.diff(melody_of(piece)["pitch"]).astype(np.int64)
    return moves[moves != 0]


def intervals(piece: Piece) -> tuple[int, ...]:
    """`steps` as plain numbers."""
    return tuple(steps(piece).tolist())


def fingerprint(piece: Piece) -> str:
    """Sixteen hex digits that are equal for equal melodies in any key."""
    text = ",".join(str(step) for step in intervals(piece))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def group_by_melody(melodies: Sequence[tuple[int, ...]]) -> list[int]:
    """Give every melody the index of the first melody of its group."""
    shingles = [_shingles(melody) for melody in melodies]
    holders: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, passages in enumerate(shingles):
        for passage in sorted(passages):
            holders[passage].append(index)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for indices in holders.values():
        for pair in combinations(indices, 2):
            shared[pair] += 1
    parent = list(range(len(melodies)))
    for (a, b), count in sorted(shared.items()):
        if count >= SHARED * min(len(shingles[a]), len(shingles[b])):
            _join(parent, a, b)
    return [_root(parent, index) for index in range(len(melodies))]


def _shingles(melody: tuple[int, ...]) -> set[tuple[int, ...]]:
    count = max(1, len(melody) - SHINGLE + 1)
    return {melody[start : start + SHINGLE] for start in range(count)}


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        index = parent[index]
    return index


def _join(parent: list[int], a: int, b: int) -> None:
    low, high = sorted((_root(parent, a), _root(parent, b)))
    parent[high] = low
