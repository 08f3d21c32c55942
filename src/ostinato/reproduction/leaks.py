"""Which held-out pieces of an official split are also in its training set, and what that is worth.

For each held-out piece the closest training piece is found (`normalization/tunes.py`). A piece is a
copy, has a tune in common, has only a phrase in common, or is clean.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.corpus.store import read_corpus, read_pieces
from ostinato.metrics.bootstrap import Interval, mean_interval
from ostinato.metrics.differences import Column, difference
from ostinato.music.melody import steps
from ostinato.normalization.alignment import Lines
from ostinato.normalization.tunes import tune_pairs
from ostinato.reproduction.folder import SPLITS

COPY, TUNE, PHRASE, CLEAN = KINDS = ("copy", "tune", "phrase", "clean")
LEAKED = (COPY, TUNE)
PHRASE_WORTH = 180  # tenths of nats: about eleven equal steps; some have them by chance


@dataclass(frozen=True)
class Leak:
    """A held-out piece: its kind, the closest training piece ("" if none is close), what their
    common passage is worth in nats, and its share of the shorter melody.
    """

    piece: str
    split: str
    group: str
    kind: str
    train: str
    nats: float
    share: float


def find_leaks(corpus: Path) -> list[Leak]:
    """Every piece of valid and test, compared with every piece of train; sorted by split."""
    entries = read_corpus(corpus)
    ids = [entry.piece.id for entry in entries]
    copies = {row["id"]: row["copies"] for row in read_pieces(corpus)}
    trained = {entry.piece.id for entry in entries if entry.split == "train"}
    copied = {copies[piece]: piece for piece in sorted(trained, reverse=True) if copies[piece]}
    lines = Lines.of([steps(entry.piece) for entry in entries])
    # other names for all: equal melodies are compared, too
    found = tune_pairs(lines, [str(number) for number in range(len(ids))])
    aligned: dict[tuple[str, str], tuple[float, float]] = {}
    closest: dict[str, tuple[Any, ...]] = {}
    rows = zip(found.a, found.b, found.worth, found.share, found.shared, strict=True)
    for a, b, worth, share, shared in rows:
        for held, train in ((ids[a], ids[b]), (ids[b], ids[a])):
            if held not in trained and train in trained:
                kind = TUNE if shared else PHRASE if worth >= PHRASE_WORTH else CLEAN
                aligned[held, train] = (int(worth) / 10, round(float(share), 3))
                here = (kind == TUNE, int(worth), train, kind)
                closest[held] = max(here, closest.get(held, here))
    leaks = []
    for split in SPLITS:
        for entry in (entry for entry in entries if entry.split == split):
            name = entry.piece.id
            *_, train, kind = closest.get(name, ("", CLEAN))
            if original := copied.get(copies[name]):
                kind, train = COPY, original
            train = train if kind != CLEAN else ""
            close = aligned.get((name, train), (0.0, 0.0))
            leaks.append(Leak(name, split, entry.group, kind, train, *close))
    return leaks


def counts(leaks: Sequence[Leak]) -> dict[str, dict[str, int]]:
    """Numbers of pieces by split and kind."""
    table = Counter((leak.split, leak.kind) for leak in leaks)
    return {split: {kind: table[split, kind] for kind in KINDS} for split in SPLITS}


def compare(
    leaks: Sequence[Leak], nats: Mapping[str, float], *, seed: int, resamples: int
) -> dict[str, Any]:
    """Mean over pieces of each piece's mean: of leaked pieces (copies and tunes) and of the others;
    and their difference with its interval over groups.

    nats: by piece; nats per unit of the protocol.
    """
    columns = {}
    for leaked in (True, False):
        part = [leak for leak in leaks if (leak.kind in LEAKED) == leaked]
        values = np.array([nats[leak.piece] for leak in part], dtype=np.float64)
        pieces, groups = ([getattr(leak, key) for leak in part] for key in ("piece", "group"))
        columns[leaked] = Column(
            np.array(pieces, str), np.array(groups, str), values, np.ones_like(values)
        )
    chance = {"seed": seed, "resamples": resamples}
    means = {
        leaked: mean_interval(column.values, groups=column.groups, **chance)
        for leaked, column in columns.items()
    }
    both = all(len(column.values) for column in columns.values())
    apart = difference(columns[True], columns[False], **chance).interval if both else Interval()
    return {
        "leaked": means[True].plain(),
        "clean": means[False].plain(),
        "difference": apart.plain(),
    }
