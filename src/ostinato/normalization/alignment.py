"""Aligns many pairs of melodies at once, near a known diagonal: dynamic programming in numpy."""

# n pairs, B places of the band

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ostinato.normalization.sketch import Numbers

BAND = 16  # steps that may be added or missing, in all, before or after the anchor
GAP = 48  # fillers between melodies: more than is read past the end of one
FILLER = 1000  # equal to no step, nor to a sum of two
OPENING = 4  # first steps of a melody
BATCH = 4096  # pairs at once

Steps = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Lines:
    """Pitch steps of many melodies, with `GAP` fillers before, between and after them.

    steps: (N,). offsets, lengths: (P,); melody i is steps[offsets[i] : offsets[i] + lengths[i]].
    """

    steps: Steps
    offsets: Numbers
    lengths: Numbers

    def __len__(self) -> int:
        return len(self.offsets)

    @classmethod
    def of(cls, melodies: Sequence[npt.NDArray[np.integer]]) -> "Lines":
        """From the steps of single melodies."""
        lengths = np.array([len(melody) for melody in melodies], np.int64)
        flat = np.concatenate([np.empty(0, np.int16), *melodies]).astype(np.int16)
        return cls.joined(flat, lengths)

    @classmethod
    def joined(cls, flat: npt.NDArray[np.integer], lengths: Numbers) -> "Lines":
        """From the steps of all melodies one after another."""
        offsets = np.cumsum(lengths + GAP) - lengths
        steps = np.full(int(lengths.sum()) + GAP * (len(lengths) + 1), FILLER, np.int16)
        gaps = np.repeat(GAP * np.arange(1, len(lengths) + 1), lengths)
        steps[np.arange(len(flat)) + gaps] = flat
        return cls(steps, offsets, lengths)

    @cached_property
    def owners(self) -> Numbers:
        """For every position the number of its melody, -1 for fillers: (N,)."""
        owners = np.full(len(self.steps), -1, np.int64)
        owners[self.steps != FILLER] = np.repeat(np.arange(len(self)), self.lengths)
        return owners


@dataclass(frozen=True)
class Prices:
    """edit: what an edit costs. opening: what a passage earns that starts both melodies."""

    edit: int
    opening: int


def best_passages(
    lines: Lines,
    weights: Numbers,
    pairs: tuple[Numbers, Numbers],
    shift: Numbers,
    prices: Prices,
) -> Numbers:
    """Score of the best common passage of each pair of melodies: (n,).

    weights: (N,), of every step; two equal steps earn the lower one. shift: steps from the place of
    the passage in the first melody to that in the second; the alignment stays within `BAND`.
    """
    a, b = pairs
    table = _Table.of(lines, weights, prices)
    begin = np.maximum(0, -shift - BAND)  # rows of a that have a place in b
    rows = np.minimum(lines.lengths[a], lines.lengths[b] - shift + BAND) - begin
    first = lines.offsets[a] + begin
    column = lines.offsets[b] + begin + shift - BAND
    scores = np.zeros(len(a), np.int64)
    order = np.argsort(rows, kind="stable")  # pairs of a batch have about as many rows
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        scores[part] = table.align(first[part], column[part], rows[part])
    return scores


@dataclass(frozen=True, eq=False)
class _Table:
    """Of every step of all melodies, (N,) each: itself, its sum with the one before, its weight,
    and whether it is one of the first `OPENING` of its melody.
    """

    steps: npt.NDArray[np.int32]
    sums: npt.NDArray[np.int32]
    weights: npt.NDArray[np.int32]
    opening: npt.NDArray[np.bool_]
    prices: Prices

    @classmethod
    def of(cls, lines: Lines, weights: Numbers, prices: Prices) -> "_Table":
        steps = lines.steps.astype(np.int32)
        sums = steps + np.concatenate([[FILLER], steps[:-1]]).astype(np.int32)
        whole = lines.owners >= 0
        whole[1:] &= whole[:-1]
        sums[~whole] = 3 * FILLER
        opening = np.zeros(len(steps), bool)
        places = np.arange(OPENING)
        opening[(lines.offsets[:, None] + places)[places < lines.lengths[:, None]]] = True
        return cls(steps, sums, weights.astype(np.int32), opening, prices)

    def align(self, first: Numbers, column: Numbers, rows: Numbers) -> Numbers:
        """The best scores of a batch; row r of a pair is position first + r, and its band begins at
        column + r.
        """
        places, edit = 2 * BAND + 1, self.prices.edit
        slope = np.arange(places, dtype=np.int32) * edit
        # a border on each side: what comes from outside of the band starts at 0
        before, last = (np.zeros((len(first), places + 2), np.int32) for _ in range(2))
        best = np.zeros(len(first), np.int64)
        limit = len(self.steps) - 1
        for row in range(int(rows.max(initial=0))):
            i = np.minimum(first + row, limit)
            j = np.clip(column[:, None] + np.arange(row, row + places), 0, limit)
            step, total = self.steps[i][:, None], self.sums[i][:, None]
            total = np.where(total == 3 * FILLER, 4 * FILLER, total)
            gain = np.minimum(self.weights[i][:, None], self.weights[j])
            steps, sums = self.steps[j], self.sums[j]
            score = last[:, 1:-1] + np.where(steps == step, gain, -edit)
            np.maximum(score, last[:, 2:] - edit, out=score)
            gain -= edit
            for known, earlier in (
                (sums == step, last[:, :-2]),  # a step split in two
                (steps == total, before[:, 2:]),  # two steps joined
                (sums == total, before[:, 1:-1]),  # the note between two steps changed
            ):
                np.maximum(score, np.where(known, earlier + gain, 0), out=score)
            np.maximum(score, 0, out=score)
            if row < OPENING:
                both = self.opening[i][:, None] & self.opening[j]
                np.maximum(score, np.where(both, self.prices.opening, 0), out=score)
            score = np.maximum.accumulate(score + slope, 1) - slope
            before, last = last, before
            last[:, 1:-1] = score
            best = np.where(row < rows, np.maximum(best, score.max(1)), best)
        return best
