"""A corpus as `muspy.Music`, one piece after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ostinato.corpus.store import iterate_corpus, read_summary
from ostinato.music.convert_muspy import to_muspy

if TYPE_CHECKING:
    from muspy import Music


@dataclass(frozen=True)
class MuspyCorpus:
    """Iterates over data/corpus/<dataset> as often as one likes, one shard in memory at a time.

    split: of these pieces alone; default: all, in the order of their files.

    Raises:
        ValueError: a split that the corpus does not have, naming those it has.
        MissingInput, DamagedFile: as `store.iterate_corpus`.
    """

    folder: Path
    split: str | None = None

    def __post_init__(self) -> None:
        splits = read_summary(self.folder)["splits"]
        if self.split is not None and self.split not in splits:
            raise ValueError(
                f"{self.folder} has no split {self.split!r}; it has {', '.join(sorted(splits))}"
            )

    def __len__(self) -> int:
        """Number of pieces."""
        splits: dict[str, int] = read_summary(self.folder)["splits"]
        return sum(splits.values()) if self.split is None else splits[self.split]

    def __iter__(self) -> Iterator["Music"]:
        """The pieces; see music/convert_muspy.py for where a `muspy.Music` holds what."""
        for entry in iterate_corpus(self.folder):
            if self.split in (None, entry.split):
                yield to_muspy(entry.piece)
