"""Fingerprints and sketches of pieces, independent of key, tempo and instruments.

The texture of a piece is the sequence of its slices: sets of pitches that begin at the same tick. A
fingerprint identifies the whole sequence; a sketch is the set of 64-bit hashes of its passages. One
hash in `keep` is enough to estimate what share of one piece is in another (FracMinHash, Irber et
al. 2022, doi:10.1101/2022.01.11.475838). Only the order of onsets counts: durations, velocities and
rhythm are ignored. Copies of one performance are found; another performance of the same work, with
chords spread differently, is not.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.music import melody
from ostinato.music.piece import Piece

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

SLICES = 8  # in a passage


@dataclass(frozen=True, eq=False)
class _Texture:
    """Pitches of all slices, sorted and unique in each; index where each slice begins."""

    pitches: Numbers
    starts: Numbers
    is_drum: bool


def texture_fingerprint(piece: Piece) -> str:
    """Sixteen hex digits, equal for equal slices in any key; repeated slices count.

    All pitched tracks are merged. Drums count only in pieces without pitched notes, at their own
    pitches.
    """
    texture = _texture(piece)
    base = 0 if texture.is_drum else texture.pitches[:1]
    marked = (texture.pitches - base) * 2
    marked[texture.starts] += 1
    kind = b"drums" if texture.is_drum else b"pitched"
    return hashlib.sha256(kind + marked.astype("<i2").tobytes()).hexdigest()[:16]


def melody_fingerprint(piece: Piece) -> str:
    """Fingerprint of the melody, or of the texture if the melody has fewer than eight steps.

    Otherwise all pieces with drums only would be copies of each other.
    """
    long_enough = len(melody.steps(piece)) >= melody.SHORTEST
    return melody.fingerprint(piece) if long_enough else texture_fingerprint(piece)


def texture_sketch(piece: Piece, keep: int = 1) -> Hashes:
    """Hashes of every `SLICES` consecutive slices that are below 2**64 / keep, sorted, unique.

    A slice is hashed by its pitches relative to its lowest one and, except for the first of a
    passage, by the move of the lowest pitch from the slice before. Drums keep their pitches.
    """
    texture = _texture(piece)
    lowest = texture.pitches[texture.starts]
    sizes = np.diff(texture.starts, append=len(texture.pitches))
    base = 0 if texture.is_drum else np.repeat(lowest, sizes)
    moves = np.zeros_like(lowest) if texture.is_drum else np.diff(lowest, prepend=lowest[:1])
    if len(texture.starts) < SLICES:
        return np.empty(0, np.uint64)
    # a sum does not depend on order: a slice is a set
    chords = _mix(np.add.reduceat(_mix(texture.pitches - base), texture.starts))
    return _thin(_passages(chords, _mix(moves), SLICES), keep)


def run_hashes(steps: npt.NDArray[np.integer], length: int) -> Hashes:
    """Hashes of every `length` consecutive numbers: (len(steps) - length + 1,)."""
    if len(steps) < length:
        return np.empty(0, np.uint64)
    hashes = _mix(steps.astype(np.int64))
    return _passages(hashes, np.zeros_like(hashes), length)


def _texture(piece: Piece) -> _Texture:
    notes = piece.notes
    drums = np.array([track.is_drum for track in piece.tracks], bool)[notes["track"]]
    is_drum = bool(drums.all())
    notes = notes if is_drum else notes[~drums]
    keys = np.sort((notes["onset"].astype(np.int64) << 8) + notes["pitch"])
    keys = keys[np.diff(keys, prepend=-1) != 0]
    starts = np.flatnonzero(np.diff(keys >> 8, prepend=-1))
    return _Texture(keys & 255, starts, is_drum)


def _passages(first: Hashes, moves: Hashes, length: int) -> Hashes:
    count = len(first) - length + 1
    values = first[:count]
    for place in range(1, length):
        end = place + count
        values = _mix(values ^ moves[place:end]) ^ first[place:end]
    return _mix(values)


def _mix(values: npt.NDArray[np.int64] | Hashes) -> Hashes:
    """One step of SplitMix64 (Steele, Lea, Flood 2014): a bijection whose bits look random."""
    mixed = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _thin(hashes: Hashes, keep: int) -> Hashes:
    if keep < 1:
        raise ValueError(f"keep={keep} must be at least 1: one of so many hashes is kept")
    return np.unique(hashes[hashes <= np.uint64((2**64 - 1) // keep)])
