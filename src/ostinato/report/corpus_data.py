"""What a corpus page shows, as plain data; `report.corpus_collect` counts it."""

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
    """What to listen to: how many random pieces, drawn with which seed, how many seconds of each.

    Who is drawn depends on the pieces' ids and the seed alone, not on the order of a corpus.
    """

    pieces: int = 6
    seed: int = 1
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.pieces < 0:
            raise ValueError(f"pieces={self.pieces} must not be below 0; 0 shows none")
        if not 0 < self.seconds <= 600:
            raise ValueError(
                f"seconds={self.seconds} must lie above 0 and be 600 at most: all sound is inside "
                "the page; use pieces=0 for a page without"
            )


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram over [low, high) of its axis; `label` is what it stands for."""

    low: float
    high: float
    count: float
    label: str


@dataclass(frozen=True)
class Histogram:
    """Amounts of `unit` (notes, pieces, quarter notes) over an axis with marked places."""

    title: str
    unit: str
    text: str
    bins: tuple[Bin, ...]
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    @property
    def total(self) -> float:
        """All that was counted."""
        return sum(bar.count for bar in self.bins)


@dataclass(frozen=True)
class Ranking:
    """The most frequent names with how often they occur, most first.

    others: how many further names there are, and their sum.
    """

    title: str
    unit: str
    text: str
    rows: tuple[tuple[str, float], ...]
    others: tuple[int, float] = (0, 0)

    @property
    def total(self) -> float:
        """All that was counted."""
        return sum(count for _, count in self.rows) + self.others[1]


@dataclass(frozen=True)
class Excerpt:
    """A cut of a piece: its first seconds. `length` is of the whole piece, in seconds."""

    piece: Piece
    split: str
    length: float


@dataclass(frozen=True)
class Share:
    """What one split holds."""

    split: str
    pieces: int
    notes: int
    seconds: float


@dataclass(frozen=True)
class Reason:
    """Files rejected for one reason: how many, and the first of them with the reader's words."""

    name: str
    count: int
    shown: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cluster:
    """Pieces that belong together: all in number, the first as (id, split)."""

    count: int
    splits: tuple[str, ...]
    shown: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Clusters:
    """Groups of several pieces, the largest first; those in several splits before all others.

    groups, pieces and crossing count all of them, `shown` is cut.
    """

    groups: int
    pieces: int
    crossing: int
    shown: tuple[Cluster, ...]


@dataclass(frozen=True)
class CorpusData:
    """Everything on the page of one corpus; `summary` is the corpus' own, read with `.get`."""

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
