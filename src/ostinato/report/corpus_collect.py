"""Collects the statistics of a corpus page, with one piece in memory at a time."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ostinato.corpus.store import Entry
from ostinato.music.timing import duration_seconds
from ostinato.normalization.summary import kind_of
from ostinato.report.corpus_count import ranking
from ostinato.report.corpus_data import (
    CLUSTERS_SHOWN,
    MEMBERS_SHOWN,
    REJECTED_SHOWN,
    WARNINGS_SHOWN,
    Cluster,
    Clusters,
    CorpusData,
    DescribeOptions,
    Excerpt,
    Reason,
    Share,
)
from ostinato.report.corpus_excerpt import first_seconds
from ostinato.report.corpus_music import LabelCounts, MusicCounts
from ostinato.seeds import seed_of

ORDER = {"train": 0, "valid": 1, "test": 2}


def collect(
    pieces: Sequence[Mapping[str, Any]],
    entries: Iterable[Entry],
    summary: Mapping[str, Any],
    rejected: Sequence[Mapping[str, Any]],
    options: DescribeOptions,
) -> CorpusData:
    """Count everything that the page shows.

    Args:
        pieces: the corpus' table of pieces, of which id, split, group and copies are used.
        entries: the pieces themselves, read one by one.
        summary: summary.json; absent entries are not shown.
        rejected: rows of file, reason and detail.
        options: which pieces are rendered.
    """
    music, labels, shares = MusicCounts(), LabelCounts(), dict[str, list[float]]()
    warnings, warned = Counter[str](), 0
    chosen = draw([row["id"] for row in pieces], options)
    excerpts: dict[str, Excerpt] = {}
    for entry in entries:
        piece, seconds = entry.piece, duration_seconds(entry.piece)
        music.add(piece, seconds)
        labels.add(piece)
        share = shares.setdefault(entry.split, [0, 0, 0])
        for i, amount in enumerate((1, len(piece.notes), seconds)):
            share[i] += amount
        kinds = {kind_of(text) for text in piece.warnings}
        warnings.update(kinds)
        warned += bool(kinds)
        if piece.id in chosen and len(piece.notes):
            cut = first_seconds(piece, options.seconds)
            excerpts[piece.id] = Excerpt(cut, entry.split, seconds)
    return CorpusData(
        dataset=str(summary["dataset"]),
        summary=summary,
        shares=tuple(
            Share(split, int(shares[split][0]), int(shares[split][1]), shares[split][2])
            for split in sorted(shares, key=_split_order)
        ),
        music=music.histograms(),
        instruments=music.instruments(),
        labels=labels.rankings(),
        few=labels.few(),
        excerpts=tuple(excerpts[name] for name in chosen if name in excerpts),
        rejected=reasons(rejected),
        warnings=ranking("Warnings", "pieces", warnings, top=WARNINGS_SHOWN),
        warned=warned,
        copies=clusters(pieces, "copies"),
        groups=clusters(pieces, "group"),
        options=options,
    )


def draw(ids: Iterable[str], options: DescribeOptions) -> tuple[str, ...]:
    """Random ids, independent of their order; adding a piece changes at most one of them."""
    return tuple(
        heapq.nsmallest(options.pieces, ids, key=lambda name: seed_of("look", options.seed, name))
    )


def reasons(rejected: Sequence[Mapping[str, Any]]) -> tuple[Reason, ...]:
    """Rejected files by reason, most frequent first; at most REJECTED_SHOWN files in total, shared
    out so that rare reasons are shown completely if possible.
    """
    rows: dict[str, list[tuple[str, str]]] = {}
    for row in rejected:
        rows.setdefault(str(row["reason"]), []).append((str(row["file"]), str(row["detail"])))
    left, found = REJECTED_SHOWN, []
    rare_first = sorted(rows, key=lambda name: (len(rows[name]), name))
    for waiting, name in zip(range(len(rows), 0, -1), rare_first, strict=True):
        shown = tuple(sorted(rows[name])[: left // waiting])
        left -= len(shown)
        found.append(Reason(name, len(rows[name]), shown))
    return tuple(sorted(found, key=lambda reason: (-reason.count, reason.name)))


def clusters(pieces: Sequence[Mapping[str, Any]], column: str) -> Clusters:
    """Groups of two or more pieces that share a value of a column; rows without it are ignored."""
    members: dict[str, list[tuple[str, str]]] = {}
    for row in pieces:
        if row.get(column):
            members.setdefault(row[column], []).append((row["id"], row["split"]))
    several = [sorted(rows, key=_member) for rows in members.values() if len(rows) > 1]
    found = [
        Cluster(len(rows), tuple(dict.fromkeys(split for _, split in rows)), tuple(rows))
        for rows in several
    ]
    found.sort(key=lambda c: (len(c.splits) < 2, -c.count, c.shown[0]))
    return Clusters(
        groups=len(found),
        pieces=sum(cluster.count for cluster in found),
        crossing=sum(len(cluster.splits) > 1 for cluster in found),
        shown=tuple(
            Cluster(c.count, c.splits, c.shown[:MEMBERS_SHOWN]) for c in found[:CLUSTERS_SHOWN]
        ),
    )


def _split_order(split: str) -> tuple[int, str]:
    return ORDER.get(split, len(ORDER)), split


def _member(row: tuple[str, str]) -> tuple[int, str]:
    return ORDER.get(row[1], len(ORDER)), row[0]
