"""What a measure gets and what it gives back.

A measure is a file of this folder with two functions:

    reference(corpus: Corpus) -> Mapping[str, ndarray]    once an encoding, by the stage reference@
    measure(context: Context) -> Result                   once a system, by the stage evaluate@

KINDS names the kinds of arrays that it applies to, see ArraySpec; without it a measure is of notes.
With ALSO_TRIVIAL = True its headline figures are also those of trivial samples (`evaluation/
trivial.py`); their context has no training excerpts, no scorer and no history.
`reference` may be left out. What it returns is stored, and `context.reference` has it: everything
whose cost grows with the training set belongs there. The registry finds measures by their files.
The report draws a Result by its `view` and knows no measure by name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, overload

import numpy as np
import numpy.typing as npt

from ostinato.evaluation.scorer import Scorer
from ostinato.loading.tokens import TokenSet
from ostinato.metrics.figure import Figure as Figure
from ostinato.music.piece import Piece

Array = npt.NDArray[Any]
View = Literal["forest", "density", "curve", "table", "gallery"]


@dataclass(frozen=True)
class Shown:
    """One entry of a gallery: a sample, and a piece to hear beside it."""

    sample: str
    beside: Piece | None
    caption: str
    is_flagged: bool = False


@dataclass(frozen=True)
class Result:
    """What a measure found for one system.

    Args:
        values: figures by name, in the order of the report.
        view: how the report draws them. forest: every figure with its interval; density: the
            distributions of `per_piece`, one chart for each name; curve: `series`; table: figures
            as rows; gallery: `gallery`.
        per_piece: values of single pieces. A key is "<set>/<name>"; sets are those of
            `Context.sets`, and the array is aligned with the set. Name a value as its figure where
            there is one. They go to pieces.csv.
        weights: what the figure of a key of `per_piece` divides by, piece by piece: it is
            Σ value · weight / Σ weight. 1 where there is none.
        series: for curves, arrays (points, 2) by name.
        order: place in the report; smaller comes first.
        columns: the one or two figures that metrics.json holds, with their short names there.
    """

    values: Mapping[str, Figure]
    view: View = "forest"
    per_piece: Mapping[str, Array] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    series: Mapping[str, Array] = field(default_factory=dict)
    gallery: Sequence[Shown] = ()
    title: str = ""
    note: str = ""
    order: int = 50
    columns: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As JSON-able data, without what is of single pieces."""
        texts = {key: getattr(self, key) for key in ("title", "note", "view", "order")}
        return texts | {"values": {name: figure.plain() for name, figure in self.values.items()}}


@dataclass(frozen=True)
class Excerpts(Sequence[Piece]):
    """Pieces with the names of their groups (pieces of one work); arrays are aligned with it.

    split: "valid", "test" or "train"; "" of samples. ended: whether the piece's end is in it.
    """

    pieces: Sequence[Piece]
    groups: Array
    split: Array
    ended: Array

    def __len__(self) -> int:
        return len(self.pieces)

    @overload
    def __getitem__(self, index: int) -> Piece: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Piece]: ...
    def __getitem__(self, index: int | slice) -> Piece | Sequence[Piece]:
        return self.pieces[index]

    @property
    def ids(self) -> list[str]:
        """The names of the pieces."""
        return [piece.id for piece in self.pieces]

    def only(self, mask: Array) -> "Excerpts":
        """The pieces for which a mask is true."""
        kept = [piece for piece, keep in zip(self.pieces, mask, strict=True) if keep]
        return Excerpts(kept, self.groups[mask], self.split[mask], self.ended[mask])


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The real music of an encoding, as a measure's `reference` gets it.

    held_out (valid and test), train: cut to `quarters`, at most as many pieces as the settings say;
    held_out_whole, train_whole: the same pieces uncut, and those that are shorter. all_train:
    decodes every training piece, whole, one after the other. groups: of every piece of the
    encoding by split, in the order of tokens.splits[split] and of all_train.
    """

    held_out: Excerpts
    train: Excerpts
    held_out_whole: Excerpts
    train_whole: Excerpts
    quarters: int
    all_train: Callable[[], Iterator[Piece]]
    groups: Mapping[str, Array]
    tokens: TokenSet
    seed: int
    resamples: int


@dataclass(frozen=True, kw_only=True)
class Context:
    """A system's samples beside real music, as `measure` gets them.

    samples, held_out, train: cut to the first `quarters`; shorter pieces are not in them.
    samples_whole, held_out_whole, train_whole: uncut, the shorter ones too. Samples have no prompt,
    and each is its own group. Of an encoding of sound these are recordings in place of pieces, and
    `quarters` are seconds. reference: what the measure's own `reference` returned. scorer: of
    the system's likelihood, None where it has none. groups: as in Corpus. card: its model.json.
    history: rows of its learning curve. requests: what each sample was asked for, by its id: its
    row of samples.json, with `conditions`, `bars`, `min_bars` and `options`.
    """

    samples: Excerpts
    held_out: Excerpts
    train: Excerpts
    samples_whole: Excerpts
    held_out_whole: Excerpts
    train_whole: Excerpts
    quarters: int
    groups: Mapping[str, Array]
    reference: Mapping[str, Array]
    seed: int
    resamples: int
    tokens: TokenSet
    scorer: Scorer | None
    card: Mapping[str, Any]
    history: Sequence[Mapping[str, str]]
    requests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def sets(self) -> dict[str, Sequence[str]]:
        """Names of the pieces of every set that `per_piece` may name."""
        found: dict[str, Sequence[str]] = {name: getattr(self, name).ids for name in SETS}
        splits = {name: part.piece.tolist() for name, part in self.tokens.splits.items()}
        return splits | found  # "train" is the excerpts

    def groups_of_sets(self) -> dict[str, Sequence[str]]:
        """Names of the groups, aligned with `sets`."""
        splits = {name: names.tolist() for name, names in self.groups.items()}
        return splits | {name: getattr(self, name).groups.tolist() for name in SETS}


SETS = tuple(
    f"{kind}{whole}" for kind in ("samples", "held_out", "train") for whole in ("", "_whole")
)


class Measure(Protocol):
    """A file of this folder."""

    def measure(self, context: Context) -> Result:
        """The figures of one system."""


def as_text(values: Sequence[str]) -> Array:
    """Names as an array that can be stored without pickling."""
    return np.array(list(values), dtype=np.str_)
