"""The longest passage that a piece shares with a training set, in any key.

A piece is a sequence of symbols: its notes, without drums, are ordered by (onset, pitch), and a
symbol is the step from one note to the next (quarters between their onsets, pitch interval). Copies
are therefore found at any position and in any key. Durations are ignored: a grid joins repeated
notes, samplers cut notes short, and a copy with another articulation is still a copy. A passage has
no difference in any voice, so a copied tune with new harmony does not count (`music.melody`
compares melodies). Human pieces share passages too: compare with held-out pieces, not with 0 (Yin
et al. 2022).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes, Piece

Codes = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
INTERVALS = 256  # more than the 255 that two MIDI pitches can have
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64


@dataclass(frozen=True)
class Passage:
    """A shared passage: its notes, the quarters from its first onset to its last, and its source.

    Fewer than two notes in common are no passage: Passage(0, 0.0, None).
    """

    notes: int
    quarters: float
    piece_id: str | None


@dataclass(frozen=True, eq=False)
class _Chain:
    """Symbols with prefix sums of a polynomial modulo 2**64, from which any run is hashed."""

    codes: Codes
    prefix: Hashes
    inverse: Hashes

    def hashes(self, starts: npt.NDArray[np.int64], length: int) -> Hashes:
        """One hash for each run of `length` symbols; equal runs have equal hashes."""
        return (self.prefix[starts + length] - self.prefix[starts]) * self.inverse[starts]


class PassageIndex:
    """Index of training pieces, in which passages are looked up.

    steps_per_quarter: steps between onsets are rounded to it. 24 is exact for thirty-seconds and
    triplets of sixteenths; performed timing needs a coarser one, or quantized pieces.
    """

    def __init__(self, train_pieces: Sequence[Piece], *, steps_per_quarter: int = 24) -> None:
        if steps_per_quarter < 1:
            raise ValueError(f"steps_per_quarter={steps_per_quarter} must be at least 1")
        parts = [_symbols(piece, steps_per_quarter) for piece in train_pieces]
        self._fill(
            [piece.id for piece in train_pieces],
            np.concatenate([np.empty(0, np.int64), *parts]),
            np.array([len(part) for part in parts], dtype=np.int64),
            steps_per_quarter,
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `stored` makes the same index of, without the pieces."""
        return {
            "ids": np.array(self._ids, dtype=np.str_),
            "codes": self._chain.codes,
            "lengths": np.bincount(self._piece, minlength=len(self._ids)),
            "steps": np.array(self._steps_per_quarter),
        }

    @classmethod
    def stored(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "PassageIndex":
        """The index that had these arrays."""
        index = cls(())
        ids = arrays["ids"].tolist()
        index._fill(ids, arrays["codes"], arrays["lengths"], int(arrays["steps"]))
        return index

    def _fill(self, ids: list[str], codes: Codes, lengths: Codes, steps_per_quarter: int) -> None:
        self._steps_per_quarter = steps_per_quarter
        self._ids = ids
        self._chain = _chain(codes)
        self._piece = np.repeat(np.arange(len(lengths)), lengths)
        # symbols from each position to the end of its piece: a passage does not cross pieces
        ends = np.repeat(np.cumsum(lengths), lengths)
        self._left: Codes = ends - np.arange(len(ends))

    def longest(self, piece: Piece, exclude: str | None = None) -> Passage:
        """The longest passage of `piece` that occurs in a training piece not called `exclude`.

        Of several, the first in `piece`, and of those the first in the order of the training
        pieces.
        """
        query = _chain(_symbols(piece, self._steps_per_quarter))
        left = self._left
        if exclude is not None:
            excluded = np.array([name == exclude for name in self._ids], dtype=bool)
            left = np.where(excluded[self._piece], 0, left)
        # every prefix of a shared run is shared, so bisection finds the longest
        shared, too_long = 0, min(len(query.codes), int(left.max(initial=0))) + 1
        place = None
        while too_long - shared > 1:
            length = (shared + too_long) // 2
            found = self._first_match(query, length, left)
            if found is None:
                too_long = length
            else:
                shared, place = length, found
        if place is None:
            return Passage(0, 0.0, None)
        start, position = place
        onsets = _ordered(piece)["onset"]
        quarters = float(onsets[start + shared] - onsets[start]) / piece.ticks_per_quarter
        return Passage(shared + 1, quarters, self._ids[self._piece[position]])

    def _first_match(self, query: _Chain, length: int, left: Codes) -> tuple[int, int] | None:
        """Start of the first shared run of `length` symbols, in the query and in training."""
        starts = np.flatnonzero(left >= length)
        train_hashes = self._chain.hashes(starts, length)
        hashes = query.hashes(np.arange(len(query.codes) - length + 1), length)
        hits = _is_among(train_hashes, np.sort(hashes))
        starts, train_hashes = starts[hits], train_hashes[hits]
        for start in np.flatnonzero(_is_among(hashes, np.sort(train_hashes))).tolist():
            run = query.codes[start : start + length]
            # equal runs have equal hashes; unequal ones may collide, so the symbols are compared
            for position in starts[train_hashes == hashes[start]].tolist():
                if np.array_equal(self._chain.codes[position : position + length], run):
                    return start, position
        return None


def _ordered(piece: Piece) -> Notes:
    drums = [number for number, track in enumerate(piece.tracks) if track.is_drum]
    notes = piece.notes[~np.isin(piece.notes["track"], drums)]
    return notes[np.lexsort((notes["pitch"], notes["onset"]))]


def _symbols(piece: Piece, steps_per_quarter: int) -> Codes:
    """One number for each step from a note to the next.

    Steps are rounded, not onsets, so that a passage has the same symbols at any position.
    """
    notes, tick = _ordered(piece), piece.ticks_per_quarter
    onsets, pitches = notes["onset"].astype(np.int64), notes["pitch"].astype(np.int64)
    steps = (2 * (onsets[1:] - onsets[:-1]) * steps_per_quarter + tick) // (2 * tick)
    return steps * INTERVALS + (pitches[1:] - pitches[:-1]) + INTERVALS // 2


def _chain(codes: Codes) -> _Chain:
    powers, inverse = (_powers(base, len(codes)) for base in (_BASE, pow(_BASE, -1, 1 << 64)))
    prefix = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum(codes.astype(np.uint64) * powers, out=prefix[1:])
    return _Chain(codes, prefix, inverse)


def _powers(base: int, count: int) -> Hashes:
    """Powers base ** (0, 1, … count - 1) modulo 2**64."""
    factors = np.full(count, base, dtype=np.uint64)
    factors[:1] = 1
    return np.cumprod(factors)


def _is_among(values: Hashes, ordered: Hashes) -> npt.NDArray[np.bool_]:
    """Which values occur in a sorted array."""
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[places] == values
