"""An n-gram of an encoding: interpolated Witten–Bell smoothing over the sub-tokens.

The context of a sub-token is a list of what is known before it, most telling first, and level k of
the model sees the first k of them (Bilmes and Kirchhoff 2003; on a stream of events this is the
usual n-gram). p_k(x | c) = (n(c, x) + t(c) · p_{k-1}(x | c')) / (n(c) + t(c)), where n counts in
train, t(c) is the number of different sub-tokens seen after c, and c' lacks the last item of c;
p_{-1} is uniform (Witten and Bell 1991). Train is counted in all the keys that the encoding allows,
as models see it, while it has fewer than `most` sub-tokens.
"""

# T positions, W sub-tokens of a position, K levels

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.evaluation.scored import pieces_of
from ostinato.loading.tokens import TokenSet

LEVELS = 9  # items of the longest context
USUAL_LEVEL = 4  # where there is nothing to choose it by
STEPS_IN_BEAT = 4  # where an encoding has no bar lines
MOST = 1_500_000  # sub-tokens of train that are counted
Keys = npt.NDArray[np.uint64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Level:
    """Sorted contexts with how often each was seen and with how many sub-tokens; sorted pairs of
    context and sub-token with their counts.
    """

    contexts: Keys
    seen: Values
    kinds: Values
    pairs: Keys
    counts: Values


class Ngram:
    """Counts of an encoding's train split."""

    def __init__(self, tokens: TokenSet, *, most: int = MOST) -> None:
        self._bar = (tokens.codec.get("structure") or {}).get("bar_column")
        self._inside = (tokens.codec.get("structure") or {}).get("inside")
        self._vocabulary = len(tokens.codec["vocabulary"])
        parts = [
            (contexts, piece.ravel().astype(np.uint64))
            for piece in _counted(tokens, most)
            for contexts in [self.contexts(piece)]
        ]
        contexts_KN = np.concatenate([part for part, _ in parts], axis=1)
        symbols_N = np.concatenate([part for _, part in parts])
        self._levels = [_level(contexts, symbols_N) for contexts in contexts_KN]

    def contexts(self, piece: npt.NDArray[np.int64]) -> Keys:
        """Hashes of the contexts of every sub-token by level, (K, T * W)."""
        column = np.broadcast_to(np.arange(piece.shape[1]), piece.shape)
        hashed = _mixed(column.ravel().astype(np.uint64))
        levels = [hashed]
        for item in _items(piece, self._place(piece)):
            hashed = _mixed(hashed * np.uint64(5) + item.ravel().astype(np.uint64))
            levels.append(hashed)
        return np.stack(levels)

    def probabilities(self, piece: npt.NDArray[np.int64]) -> Values:
        """Of every sub-token by every level, (K, T * W)."""
        symbols = piece.ravel().astype(np.uint64)
        below = np.full(symbols.shape, 1 / self._vocabulary)
        found = []
        for level, contexts in zip(self._levels, self.contexts(piece), strict=True):
            seen = _looked_up(level.contexts, level.seen, contexts)
            kinds = _looked_up(level.contexts, level.kinds, contexts)
            counts = _looked_up(level.pairs, level.counts, _pairs(contexts, symbols))
            known = seen > 0
            above = (counts + kinds * below) / np.where(known, seen + kinds, 1)
            below = np.where(known, above, below)
            found.append(below)
        return np.stack(found)

    def best_level(self, pieces: Iterable[npt.NDArray[np.int64]]) -> int:
        """The level at which these pieces have the fewest nats; USUAL_LEVEL if there is none."""
        nats = [-np.log(self.probabilities(piece)).sum(axis=1) for piece in pieces]
        return int(np.argmin(np.sum(nats, axis=0))) if nats else USUAL_LEVEL

    def _place(self, piece: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Positions since a bar line, (T, W); of those that a sub-token may see."""
        rows = np.arange(len(piece))
        if self._bar is None:
            return np.broadcast_to((rows % STEPS_IN_BEAT)[:, None], piece.shape)
        begins = np.where(piece[:, self._bar] != self._inside, rows, -1)
        last = np.maximum.accumulate(begins)
        place = np.repeat((rows - last)[:, None], piece.shape[1], axis=1)
        place[:, self._bar] = rows - np.r_[-1, last[:-1]]
        return place


def _items(
    piece: npt.NDArray[np.int64], place: npt.NDArray[np.int64]
) -> Iterator[npt.NDArray[np.int64]]:
    """What each sub-token is predicted from, (T, W) each, most telling first; -1 is nothing."""

    def shifted(rows: int, columns: int) -> npt.NDArray[np.int64]:
        moved = np.full(piece.shape, -1)
        height, width = max(0, len(piece) - rows), max(0, piece.shape[1] - columns)
        moved[rows:, columns:] = piece[:height, :width]
        return moved

    if piece.shape[1] == 1:
        for back in range(1, LEVELS + 1):
            yield shifted(back, 0)
        return
    yield shifted(1, 0)
    yield place
    for rows, columns in ((0, 1), (1, 1), (0, 2), (2, 0), (1, 2), (0, 3), (1, 3)):
        yield shifted(rows, columns)


def _counted(tokens: TokenSet, most: int) -> Iterator[npt.NDArray[np.int64]]:
    """Train in every key, nearest first, as long as there are fewer than `most` sub-tokens."""
    part = tokens.splits["train"]
    size = int(part.length.sum()) * part.tokens.shape[1]
    every = max(1, -(-size // most))  # of a larger train split, only every so-many-th piece
    shifts = sorted(tokens.shifts, key=lambda semitones: (abs(semitones), semitones))
    left = most
    for semitones in [0, *(s for s in shifts if s)]:
        for number, piece in enumerate(pieces_of(tokens, "train")):
            allowed = part.shift_low[number] <= semitones <= part.shift_high[number]
            if number % every or (semitones and (left < piece.size or not allowed)):
                continue
            left -= piece.size
            yield tokens.shifts[semitones][piece] if semitones else piece
        if left <= 0:
            return


def _level(contexts: Keys, symbols: Keys) -> _Level:
    pairs, first, counts = np.unique(
        _pairs(contexts, symbols), return_index=True, return_counts=True
    )
    names, inverse, kinds = np.unique(contexts[first], return_inverse=True, return_counts=True)
    seen = np.bincount(inverse, counts, minlength=len(names)).astype(np.float64)
    return _Level(names, seen, kinds.astype(np.float64), pairs, counts.astype(np.float64))


def _pairs(contexts: Keys, symbols: Keys) -> Keys:
    return _mixed(contexts ^ _mixed(symbols + np.uint64(1)))


def _looked_up(names: Keys, values: Values, asked: Keys) -> Values:
    """The values of names, 0 where a name is unknown."""
    places = np.minimum(np.searchsorted(names, asked), len(names) - 1)
    return np.where(names[places] == asked, values[places], 0.0)


def _mixed(values: Keys) -> Keys:
    """The finalizer of SplitMix64; two of a million contexts share a hash with p = 3e-8."""
    values = (values + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(32))
