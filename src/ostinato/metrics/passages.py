"""Passages that a piece shares with training pieces, in any key and at any tempo.

A piece is a sequence of sonorities: the pitches that begin together, without drums. Two passages
are the same if the second is the first moved by one interval, with all times between onsets
multiplied by one factor. Note lengths are ignored: a grid joins repeated notes, samplers cut notes
short, and a copy with another articulation is still a copy. All voices must agree, so a copied tune
with new harmony does not count (`music.melody` compares melodies); the passages around one changed
note do. Shorter passages than `least` sonorities are no passages: all music shares those.

The index is sorted hashes (64 bits) of all runs of `least` sonorities. Two different runs have one
hash with a probability of 1e-8 for a piece among 100,000. A lookup takes time by its matches, not
by the size of the training set. Human pieces share passages too: compare with held-out pieces, not
with 0 (Yin et al. 2022).
"""

# M sonorities

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Piece
from ostinato.music.timing import round_half_up

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
LEAST = 4  # sonorities
STEPS_PER_QUARTER = 24  # times are rounded to it; exact for thirty-seconds and triplets
HALF = 64  # semitones above the lowest pitch that one machine word has bits for


@dataclass(frozen=True)
class Passage:
    """A run of sonorities in a piece and in a training piece; starts are in quarters.

    source: number of the training piece in the index.
    """

    sonorities: int
    notes: int
    start: float
    quarters: float
    source: int
    source_start: float


@dataclass(frozen=True)
class Shared:
    """What a piece shares with the training set.

    share: of its notes, those in any shared passage; NaN for a piece without notes. longest: the
    passage of most sonorities; of several the first in the piece, of those the first in the index;
    None where there is none. neighbour: the training piece whose passages have most of its notes,
    the first of several, with their share and the longest of them.
    """

    share: float
    longest: Passage | None
    neighbour: Passage | None
    neighbour_share: float


@dataclass(frozen=True, eq=False)
class _Sonorities:
    """Symbols of each sonority as the first, the second or a later one of a passage, (3, M).

    onset: in quarters. notes: that begin in it.
    """

    symbols: Hashes
    onset: npt.NDArray[np.float64]
    notes: Numbers


class PassageIndex:
    """Training pieces, in which passages are looked up; of `index_arrays`."""

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self._hashes, self._order = arrays["hashes"], arrays["order"]
        self._offset, self._onset = arrays["offset"], arrays["onset"]
        self._least = int(arrays["least"])

    def shared(self, piece: Piece) -> Shared:
        """What a piece shares with the pieces of the index."""
        found = _sonorities(piece)
        hashes = _runs(found.symbols, self._least)
        first, last = (np.searchsorted(self._hashes, hashes, side) for side in ("left", "right"))
        counts = last - first
        here = np.repeat(np.arange(len(hashes)), counts)
        ahead = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        there = self._order[np.repeat(first, counts) + ahead].astype(np.int64)
        total = int(found.notes.sum())
        if not len(here):
            return Shared(0.0 if total else np.nan, None, None, 0.0)
        source = np.searchsorted(self._offset, there, side="right") - 1
        covered = np.unique((here[:, None] + np.arange(self._least)).ravel())
        by_source = self._notes_by_source(source, here, found.notes)
        nearest = int(np.argmax(by_source))
        near = source == np.unique(source)[nearest]
        return Shared(
            float(found.notes[covered].sum() / total),
            self._longest(found, here, there),
            self._longest(found, here[near], there[near]),
            float(by_source[nearest] / total),
        )

    def _notes_by_source(self, source: Numbers, here: Numbers, notes: Numbers) -> Numbers:
        """Notes of the piece that each training piece has, in the order of np.unique(source)."""
        names, source = np.unique(source, return_inverse=True)
        pairs = np.unique(source * len(notes) + here)
        cells = np.unique((pairs[:, None] + np.arange(self._least)).ravel())
        sums = np.bincount(cells // len(notes), notes[cells % len(notes)], minlength=len(names))
        return sums.astype(np.int64)

    def _longest(self, found: _Sonorities, here: Numbers, there: Numbers) -> Passage:
        """Matching runs that follow each other in both pieces are one passage."""
        order = np.lexsort((here, there - here))
        here, there = here[order], there[order]
        new = np.r_[True, (np.diff(here) != 1) | (np.diff(there) != 1)]
        starts = np.flatnonzero(new)
        lengths = np.diff(np.r_[starts, len(here)])
        best = starts[lengths == lengths.max()]
        best = best[np.lexsort((there[best], here[best]))[0]]
        size = int(lengths.max()) + self._least - 1
        start, position = int(here[best]), int(there[best])
        source = int(np.searchsorted(self._offset, position, side="right")) - 1
        return Passage(
            sonorities=size,
            notes=int(found.notes[start : start + size].sum()),
            start=float(found.onset[start]),
            quarters=float(found.onset[start + size - 1] - found.onset[start]),
            source=source,
            source_start=float(self._onset[position]),
        )


def index_arrays(train: Iterable[Piece], *, least: int = LEAST) -> dict[str, npt.NDArray[Any]]:
    """What a PassageIndex is made of, to be stored; least: sonorities of the shortest passage.

    hashes: of all runs, sorted. order: the sonority at which each begins. offset: first sonority of
    every piece. onset: quarters of every sonority.
    """
    if least < 3:
        raise ValueError(f"least={least} must be at least 3: two sonorities have no rhythm")
    parts, onsets, lengths = [], [], [0]
    for piece in train:
        found = _sonorities(piece)
        parts.append(_runs(found.symbols, least))
        onsets.append(found.onset.astype(np.float32))
        lengths.append(len(found.onset))
    offset = np.cumsum(lengths)
    begins = [start + np.arange(len(part)) for start, part in zip(offset, parts, strict=False)]
    hashes = np.concatenate([np.empty(0, np.uint64), *parts])
    order = np.argsort(hashes, kind="stable")
    starts = np.concatenate([np.empty(0, np.int64), *begins])
    return {
        "hashes": hashes[order],
        "order": starts[order].astype(np.uint32),
        "offset": offset[:-1],
        "onset": np.concatenate([np.empty(0, np.float32), *onsets]),
        "least": np.array(least),
    }


def _sonorities(piece: Piece) -> _Sonorities:
    drums = [number for number, track in enumerate(piece.tracks) if track.is_drum]
    notes = piece.notes[~np.isin(piece.notes["track"], drums)]
    notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
    pitch = notes["pitch"].astype(np.int64)
    onset, start, count = np.unique(
        notes["onset"].astype(np.int64), return_index=True, return_counts=True
    )
    if not len(onset):
        return _Sonorities(np.empty((3, 0), np.uint64), np.empty(0), np.empty(0, np.int64))
    lowest = pitch[start]
    above = (pitch - np.repeat(lowest, count)).astype(np.uint64)
    one = np.uint64(1)
    bits = [
        np.where((above >= low) & (above < low + HALF), one << (above % HALF), np.uint64(0))
        for low in (0, HALF)
    ]
    below, beyond = (np.bitwise_or.reduceat(words, start) for words in bits)
    shape = _mixed(_mixed(below) ^ beyond)
    tick = piece.ticks_per_quarter
    gaps = round_half_up(np.diff(onset), STEPS_PER_QUARTER, tick).clip(1)
    common = np.gcd(gaps[1:], gaps[:-1])
    rhythm = np.zeros(len(onset), dtype=np.int64)
    rhythm[2:] = ((gaps[1:] // common) << 32) + gaps[:-1] // common
    second = _mixed(shape ^ np.diff(lowest, prepend=lowest[0]).astype(np.uint64))
    symbols = np.stack([shape, second, _mixed(second ^ rhythm.astype(np.uint64))])
    return _Sonorities(symbols, onset / tick, count)


def _runs(symbols: Hashes, least: int) -> Hashes:
    """One hash for each run of `least` sonorities."""
    count = max(0, symbols.shape[1] - least + 1)
    hashes = np.ones(count, dtype=np.uint64)
    for place in range(least):
        # multiplied, so that a symbol never cancels what the ones before it left
        hashes = _mixed(hashes * np.uint64(5) + symbols[min(place, 2), place : place + count])
    return hashes


def _mixed(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64: one value for each value, as if drawn at random."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
