"""Finds copies and near copies among up to millions of pieces, and copies across splits.

Two pieces are copies if their fingerprints are equal, or if at least a given share of the shorter
one's passages is in the other (so an excerpt is a copy of the whole); groups are the connected
components. Passages in more than `CAP` pieces (a trill, an Alberti bass) are no evidence and are
ignored, which also bounds the work.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.normalization.sketch import Hashes, Numbers

Flags = npt.NDArray[np.bool_]
Shares = npt.NDArray[np.float64]

# Minimum share of the shorter texture for a near copy. Arrangements and repaired files of one song
# have 0.8 and more in datasets from the web; a tune with other chords has less.
NEAR = 0.8
# Minimum number of common hashes for a near copy: shorter passages (drum fills, accompaniments of a
# few chords) agree by chance. For sketches thinned by `keep`: max(LEAST_THINNED, LEAST // keep).
LEAST, LEAST_THINNED = 16, 4
CAP = 2000  # so nothing is ignored in a corpus of up to 2000 pieces
BLOCK = 8_000_000  # hashes in memory at once: about 100 MB


@dataclass(frozen=True, eq=False)
class Sketches:
    """Sketches of many pieces; that of piece i is hashes[offsets[i] : offsets[i + 1]].

    hashes: (N,), without duplicates within a piece. offsets: (P + 1,), from 0 to N.
    """

    hashes: Hashes
    offsets: Numbers

    def __post_init__(self) -> None:
        if not len(self.offsets) or self.offsets[0] != 0 or self.offsets[-1] != len(self.hashes):
            raise ValueError(f"offsets must go from 0 to the number of hashes, {len(self.hashes)}")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, sketches: Sequence[Hashes]) -> "Sketches":
        """Concatenate the sketches of single pieces."""
        sizes = [len(sketch) for sketch in sketches]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return cls(np.concatenate([np.empty(0, np.uint64), *sketches]), offsets)


def keep_for(pieces: int) -> int:
    """A `keep` with which the sketches of so many pieces take about 0.5 GB.

    1 up to 65,536 pieces, 4 for the 178,561 of Lakh, 16 for a million.
    """
    return 1 << max(0, (max(1, pieces) - 1).bit_length() - 16)


def similar_groups(
    sketches: Sketches, fingerprints: Sequence[str], threshold: float, *, least: int = 1
) -> Numbers:
    """For each piece the index of the first piece of its group, as an array (P,).

    Arguments as in `similar_pairs`. A piece without a sketch is joined by its fingerprint only.
    The partition does not depend on the order of the pieces if equal fingerprints have equal
    sketches.
    """
    a, b, _ = similar_pairs(sketches, fingerprints, threshold, least=least)
    return components(firsts(fingerprints), a, b)


def components(first: Numbers, a: Numbers, b: Numbers) -> Numbers:
    """For each piece the index of the first piece of its connected component.

    first: (P,) a piece to which each is joined, such as itself; a, b: further pairs.
    """
    # scipy takes 0.2 s to import, and readers of pieces import this module
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = np.concatenate([np.arange(len(first)), a])
    columns = np.concatenate([first, b])
    shape = (len(first), len(first))
    edges = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape)
    _, labels = connected_components(edges, directed=False)
    _, leaders = np.unique(labels, return_index=True)
    return leaders.astype(np.int64)[labels]


def similar_pairs(
    sketches: Sketches, fingerprints: Sequence[str], threshold: float, *, least: int = 1
) -> tuple[Numbers, Numbers, Shares]:
    """Pairs a < b of pieces, sorted, and the share of the shorter sketch that is in the other one.

    Of pieces with equal fingerprints only the first is compared. Time and memory are linear in the
    number of hashes and of pairs with a common hash.

    Args:
        threshold: minimum share of a pair, above 0.
        least: minimum number of common hashes of a pair.
    """
    if len(sketches) != len(fingerprints):
        raise ValueError(f"{len(sketches)} sketches and {len(fingerprints)} fingerprints")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold} must be above 0 and at most 1")
    compared = np.zeros(len(sketches), bool)
    compared[firsts(fingerprints)] = True
    table, sizes = _holders(sketches, compared)
    empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))
    found = [empty, *_pairs(table, sizes, threshold, least)]
    a, b, share = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((b, a))
    return a[order], b[order], share[order]


def firsts(fingerprints: Sequence[str]) -> Numbers:
    """For each piece the index of the first one with the same fingerprint."""
    seen: dict[str, int] = {}
    first = (seen.setdefault(mark, index) for index, mark in enumerate(fingerprints))
    return np.fromiter(first, np.int64, len(fingerprints))


def _holders(sketches: Sketches, compared: Flags) -> tuple[Any, Numbers]:
    """Which pieces hold which shared hashes (CSR matrix of ones), and the sizes of sketches.

    Hashes of only one piece have no column; hashes of more than `CAP` pieces count in no size.
    """
    from scipy.sparse import csr_matrix

    pieces = len(sketches)
    owners = np.repeat(np.arange(pieces, dtype=np.int32), np.diff(sketches.offsets))
    sizes = np.bincount(owners[compared[owners]], minlength=pieces)
    rows, columns, width = [np.empty(0, np.int32)], [np.empty(0, np.int32)], 0
    for part in _by_hash(sketches.hashes, compared[owners]):
        ordered = sketches.hashes[part]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        held_by = np.diff(starts, append=len(part))
        common = np.repeat(held_by > CAP, held_by)
        sizes -= np.bincount(owners[part[common]], minlength=pieces)
        shared = (held_by > 1) & (held_by <= CAP)
        rows.append(owners[part[np.repeat(shared, held_by)]])
        numbers = np.arange(width, width + shared.sum(), dtype=np.int32)
        columns.append(np.repeat(numbers, held_by[shared]))
        width += len(numbers)
    row, column = np.concatenate(rows), np.concatenate(columns)
    return csr_matrix((np.ones(len(row), np.int32), (row, column)), (pieces, width)), sizes


def _by_hash(hashes: Hashes, wanted: Flags) -> Iterator[Numbers]:
    """Indices of the wanted hashes, a range of hashes at a time, each sorted by hash."""
    rounds = 1 + len(hashes) // BLOCK
    borders = [int(hashes.max(initial=0)) * number // rounds for number in range(rounds + 1)]
    for low, high in pairwise([-1, *borders[1:]]):
        inside = wanted & (hashes <= np.uint64(high))
        if low >= 0:
            inside &= hashes > np.uint64(low)
        part = np.flatnonzero(inside)
        if len(part):
            yield part[np.argsort(hashes[part], kind="stable")]


def _pairs(
    table: Any, sizes: Numbers, threshold: float, least: int
) -> Iterator[tuple[Numbers, Numbers, Shares]]:
    """The similar pairs, in blocks of pieces with about BLOCK common hashes."""
    transposed = table.T.tocsr()
    work = np.cumsum(table @ np.diff(transposed.indptr).astype(np.int64))
    starts = np.flatnonzero(np.diff(work // BLOCK, prepend=-1)).tolist()
    for low, high in pairwise([*starts, len(work)]):
        common = (table[low:high] @ transposed).tocoo()
        a, b = common.row.astype(np.int64) + low, common.col.astype(np.int64)
        later = a < b
        a, b, count = a[later], b[later], common.data[later]
        share = count / np.minimum(sizes[a], sizes[b])
        near = (share >= threshold - 1e-9) & (count >= least)
        yield a[near], b[near], share[near]


def leaks(
    groups: Sequence[int] | Numbers, splits: Sequence[str]
) -> tuple[list[dict[str, list[int]]], dict[str, dict[str, int]]]:
    """Groups with pieces in several splits, and numbers of pieces with a copy in another split.

    Returns:
        The indices of each such group's pieces by split, ordered by first piece; and counts such as
        {"valid": {"train": 1}}: one piece of valid has a copy in train.
    """
    members: dict[int, dict[str, list[int]]] = {}
    for index, (group, split) in enumerate(zip(groups, splits, strict=True)):
        members.setdefault(int(group), {}).setdefault(split, []).append(index)
    crossing = [dict(sorted(group.items())) for group in members.values() if len(group) > 1]
    counts = Counter[tuple[str, str]]()
    for group in crossing:
        for split, pieces in group.items():
            counts.update({(split, other): len(pieces) for other in group if other != split})
    table: dict[str, dict[str, int]] = {}
    for (split, other), count in sorted(counts.items()):
        table.setdefault(split, {})[other] = count
    return crossing, table
