"""Data of a corpus page; `report.corpus_collect` computes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ostinato.music.piece import Piece

TOP = 20  # named rows of a ranking; the rest is summed
REJECTED_SHOWN = 200
CLUSTERS_SHOWN = 100
MEMBERS_SHOWN = 20
WARNINGS_SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class DescribeOptions:
    """Excerpts on the page: number of random pieces, seed of the draw, seconds of each.

    The draw depends on the pieces' ids and the seed, not on their order.
    """

    pieces: int = 6
    seed: int = 1
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.pieces < 0:
            raise ValueError(f"pieces={self.pieces} cannot be negative; 0 shows none")
        if not 0 < self.seconds <= 600:
            raise ValueError(
                f"seconds={self.seconds} must lie above 0 and be at most 600: the sound is stored "
                "inside the page; use pieces=0 for a page without sound"
            )


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram, over [low, high) of its axis, with its label."""

    low: float
    high: float
    count: float
    label: str


@dataclass(frozen=True)
class Histogram:
    """Amounts of `unit` (notes, pieces, quarter notes) over an axis with ticks."""

    title: str
    unit: str
    text: str
    bins: tuple[Bin, ...]
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    @property
    def total(self) -> float:
        """Sum of all counts."""
        return sum(bar.count for bar in self.bins)


@dataclass(frozen=True)
class Ranking:
    """The most frequent names with their counts, in descending order.

    others: number of further names, and the sum of their counts.
    """

    title: str
    unit: str
    text: str
    rows: tuple[tuple[str, float], ...]
    others: tuple[int, float] = (0, 0)

    @property
    def total(self) -> float:
        """Sum of all counts."""
        return sum(count for _, count in self.rows) + self.others[1]


@dataclass(frozen=True)
class Excerpt:
    """The first seconds of a piece; `length`: seconds of the whole piece."""

    piece: Piece
    split: str
    length: float


@dataclass(frozen=True)
class Share:
    """Contents of one split."""

    split: str
    pieces: int
    notes: int
    seconds: float


@dataclass(frozen=True)
class Reason:
    """Files rejected for one reason: their number, and the first as (file, message)."""

    name: str
    count: int
    shown: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cluster:
    """Pieces that belong together: their number, and the first as (id, split)."""

    count: int
    splits: tuple[str, ...]
    shown: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Clusters:
    """Groups of two or more pieces: those in several splits first, then by size.

    groups, pieces, crossing: totals; shown: the first groups only.
    """

    groups: int
    pieces: int
    crossing: int
    shown: tuple[Cluster, ...]


@dataclass(frozen=True)
class CorpusData:
    """Data of the page of one corpus.

    summary: its summary.json. few: a line for each style that too few pieces have.
    """

    dataset: str
    summary: Mapping[str, Any]
    shares: tuple[Share, ...]
    music: tuple[Histogram | Ranking, ...]
    instruments: tuple[Ranking, ...]
    labels: tuple[Ranking, ...]
    excerpts: tuple[Excerpt, ...]
    rejected: tuple[Reason, ...]
    warnings: Ranking
    warned: int
    copies: Clusters
    groups: Clusters
    few: tuple[str, ...] = ()
    options: DescribeOptions = field(default_factory=DescribeOptions)

    @property
    def pieces(self) -> int:
        """Pieces in all splits."""
        return sum(share.pieces for share in self.shares)

    @property
    def notes(self) -> int:
        """Notes in all splits."""
        return sum(share.notes for share in self.shares)

    @property
    def seconds(self) -> float:
        """Seconds of music in all splits."""
        return sum(share.seconds for share in self.shares)
