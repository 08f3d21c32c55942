"""Finds pieces that share a tune: in any key and tempo, with ornaments and changed notes.

Melodies are aligned as sequences of pitch steps (`melody.steps`). The best common passage (Smith
and Waterman 1981, doi:10.1016/0022-2836(81)90087-5) earns the information of every equal step and
pays `EDIT` for every edit. An edit is a step changed, added or left out, a step split in two or two
joined (a passing note; Mongeau and Sankoff 1990, doi:10.1007/BF00117340), or two steps of the same
sum (a changed note). A passage that starts both melodies earns `OPENING` more. Two pieces share a
tune if their passage is worth `TUNE` and `SHARE` of the shorter melody. What a piece repeats counts
once, so riffs, trills and broken chords do not make a tune.

The weights are constants, so whether two pieces share a tune depends on no third one. Scores are
integers (tenths of nats) and equal on every machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.normalization.alignment import Lines, Prices, best_passages
from ostinato.normalization.copies import components, firsts
from ostinato.normalization.sketch import Numbers, run_hashes

# -ln of the share of each step among those of chorale melodies, in tenths of nats
WEIGHTS = {1: 16, 2: 11, 3: 28, 4: 33, 5: 29, 6: 50, 7: 36}
RARE = 45
EDIT = 20
OPENING = 40
TUNE = 220  # about 14 steps without an edit; what it joins and misses: docs/datasets.md
SHARE = 0.4
REPEATED = 8  # steps
# Candidates share a run of steps, around which an alignment without gaps is worth this much.
CANDIDATE = 120
REACH = 24  # steps looked at on either side of the run
RUNS = (6, 12)  # shortest and longest run, by size of the corpus
CAP = 1000  # a run in more melodies is no evidence
BLOCK = 100_000  # pairs at once


@dataclass(frozen=True, eq=False)
class Tunes:
    """Pairs a < b of pieces, sorted; what their best passage is worth (tenths of nats), and its
    share of the shorter melody.
    """

    a: Numbers
    b: Numbers
    worth: Numbers
    share: npt.NDArray[np.float64]

    @property
    def shared(self) -> npt.NDArray[np.bool_]:
        """Which pairs share a tune."""
        return (self.worth >= TUNE) & (self.share >= SHARE)


def tune_groups(lines: Lines, names: Sequence[str]) -> Numbers:
    """For each piece the index of the first piece of its group, as an array (P,).

    names: equal for equal melodies, such as `melody_fingerprint`; these are always joined.
    """
    found = tune_pairs(lines, names)
    return components(firsts(names), found.a[found.shared], found.b[found.shared])


def tune_pairs(lines: Lines, names: Sequence[str]) -> Tunes:
    """All pairs with a common passage worth `CANDIDATE`; of equal names only the first is compared.

    Time grows with the number of pairs of equal runs of steps, which `RUNS` and `CAP` bound.
    """
    if len(lines) != len(names):
        raise ValueError(f"{len(lines)} melodies and {len(names)} names")
    weights = weights_of(lines)
    compared = np.zeros(len(lines), bool)
    compared[firsts(names)] = True
    a, b, shift = _candidates(lines, weights, compared)
    scores = best_passages(lines, weights, (a, b), shift, Prices(EDIT, OPENING))
    owners = lines.owners
    totals = np.bincount(owners[owners >= 0], weights[owners >= 0], len(lines))
    # at most 1: what `OPENING` adds is not part of a melody
    share = np.minimum(scores / np.maximum(np.minimum(totals[a], totals[b]), 1), 1)
    return Tunes(a, b, scores, share)


def weights_of(lines: Lines) -> Numbers:
    """Weight of every step in tenths of nats; 0 if it ends a repetition of `REPEATED` steps."""
    table = np.full(256, RARE)
    table[list(WEIGHTS)] = list(WEIGHTS.values())
    owners = lines.owners
    weights = np.where(owners >= 0, table[np.abs(lines.steps) % 256], 0)
    starts, _ = _first_runs(lines, REPEATED)
    ends = np.ones(len(weights), bool)
    ends[_run_starts(lines, REPEATED) + REPEATED - 1] = False
    ends[starts + REPEATED - 1] = True
    return np.where(ends, weights, 0)


def _run_starts(lines: Lines, length: int) -> Numbers:
    """Positions at which a run of so many steps of one melody starts."""
    owners = lines.owners
    count = max(0, len(owners) - length + 1)
    inside = (owners[:count] >= 0) & (owners[:count] == owners[length - 1 :][:count])
    return np.flatnonzero(inside)


def _first_runs(lines: Lines, length: int) -> tuple[Numbers, npt.NDArray[np.uint64]]:
    """Positions and hashes of runs, without those that their melody had before."""
    starts = _run_starts(lines, length)
    hashes = run_hashes(lines.steps, length)[starts]
    order = np.lexsort((starts, hashes, lines.owners[starts]))
    starts, hashes = starts[order], hashes[order]
    owners = lines.owners[starts]
    fresh = np.ones(len(starts), bool)
    fresh[1:] = (owners[1:] != owners[:-1]) | (hashes[1:] != hashes[:-1])
    return starts[fresh], hashes[fresh]


def run_length(steps: int) -> int:
    """Length of runs by which candidates are found: longer in larger corpora.

    An equal run of n steps has a chance of about exp(-1.3 n), so each has about 25 by chance.
    """
    wanted = np.log(max(1, steps) / 25) / 1.3
    return int(np.clip(np.ceil(wanted), *RUNS))


def _candidates(
    lines: Lines, weights: Numbers, compared: npt.NDArray[np.bool_]
) -> tuple[Numbers, Numbers, Numbers]:
    """Pairs a < b, and how many steps later the passage begins in b than in a."""
    length = run_length(len(lines.steps))
    starts, hashes = _first_runs(lines, length)
    own = compared[lines.owners[starts]]
    starts, hashes = starts[own], hashes[own]
    order = np.lexsort((starts, hashes))
    starts, hashes = starts[order], hashes[order]
    found = [np.empty((0, 4), np.int64)]
    for first, second in _equal_pairs(lines, starts, hashes):
        worth = _without_gaps(lines, weights, first, second, length)
        kept = worth >= CANDIDATE
        first, second, worth = first[kept], second[kept], worth[kept]
        a, b = lines.owners[first], lines.owners[second]
        shift = (second - lines.offsets[b]) - (first - lines.offsets[a])
        found.append(_best_of(np.stack([a, b, -worth, shift], 1)))
    best = _best_of(np.concatenate(found))
    return best[:, 0], best[:, 1], best[:, 3]


def _best_of(rows: Numbers) -> Numbers:
    """Of the rows of a pair that with the smallest remaining columns, sorted."""
    rows = rows[np.lexsort(rows.T[::-1])]
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:, :2] != rows[:-1, :2]).any(1)
    return rows[new]


def _equal_pairs(
    lines: Lines, starts: Numbers, hashes: npt.NDArray[np.uint64]
) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs of positions with equal runs, in blocks; sorted by hash, then by position.

    Of the runs within a longer common one only the first is given.
    """
    heads = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))[: len(hashes)]
    sizes = np.diff(heads, append=len(hashes))
    usable = np.zeros(len(lines.steps) + 1, bool)
    usable[starts[np.repeat(sizes <= CAP, sizes)]] = True
    left = np.repeat(np.where(sizes <= CAP, sizes, 1), sizes) - (
        np.arange(len(hashes)) - np.repeat(heads, sizes)
    )
    waiting: list[tuple[Numbers, Numbers]] = []
    for ahead in range(1, int(left.max(initial=1))):
        rows = np.flatnonzero(left > ahead)
        first, second = starts[rows], starts[rows + ahead]
        inner = usable[first - 1] & usable[second - 1]
        inner &= lines.steps[first - 1] == lines.steps[second - 1]
        waiting.append((first[~inner], second[~inner]))
        if sum(len(pair[0]) for pair in waiting) >= BLOCK:
            yield _joined(waiting)
            waiting = []
    yield _joined(waiting)


def _joined(parts: Sequence[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    empty = np.empty(0, np.int64)
    return (
        np.concatenate([empty, *(part[0] for part in parts)]),
        np.concatenate([empty, *(part[1] for part in parts)]),
    )


def _without_gaps(
    lines: Lines, weights: Numbers, first: Numbers, second: Numbers, length: int
) -> Numbers:
    """Worth of the best passage without added or missing steps near equal runs."""
    around = np.arange(-REACH, length + REACH)
    last = len(lines.steps) - 1
    worth = [np.empty(0, np.int64)]
    for start in range(0, len(first), BLOCK):
        i = np.clip(first[start : start + BLOCK, None] + around, 0, last)
        j = np.clip(second[start : start + BLOCK, None] + around, 0, last)
        equal = (lines.steps[i] == lines.steps[j]) & (weights[i] > 0) & (weights[j] > 0)
        gains = np.where(equal, np.minimum(weights[i], weights[j]), -EDIT)
        # a repeated step neither earns nor pays
        gains[(lines.steps[i] == lines.steps[j]) & ~equal & (lines.owners[i] >= 0)] = 0
        sums = np.cumsum(gains, 1)
        lowest = np.minimum.accumulate(np.minimum(sums, 0), 1)
        worth.append((sums[:, 1:] - lowest[:, :-1]).max(1))
    return np.concatenate(worth)
