"""Cuts real music and samples to one length, so that measures compare like with like.

Recordings are counted in seconds where pieces are counted in quarters.

The length is the same for all systems of an encoding: the whole quarters that nine in ten held-out
pieces reach, and no more than samples may have bars for. Shorter pieces are left out of the cut
sets and counted; the whole ones keep them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.corpus.store import read_pieces
from ostinato.evaluation.measures.protocol import Array, Excerpts
from ostinato.loading.tokens import TokenSet
from ostinato.music.piece import Piece, cut
from ostinato.music.recording import Recording
from ostinato.representations.protocol import Representation
from ostinato.seeds import seed_of

HELD_OUT = ("valid", "test")
REACHED_BY = 0.9  # share of held-out pieces that are at least as long as the common length
EPSILON = 1e-6  # of a quarter
SECONDS = 8.0  # at most, of recordings


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How systems are compared.

    resamples: of the bootstrap over groups. seed: of it and of draws. compared: at most so many
    held-out and so many training pieces are compared with samples, drawn by seed, so that the
    cost for a system does not grow with the corpus.
    """

    resamples: int = 2000
    seed: int = 1
    compared: int = 400

    def __post_init__(self) -> None:
        if self.resamples < 1 or self.compared < 1:
            raise ValueError(
                f"evaluation.resamples={self.resamples} and evaluation.compared={self.compared} "
                "must be at least 1"
            )


def groups_of(corpus: Path, tokens: TokenSet) -> dict[str, Array]:
    """The name of the group of every piece of an encoding, by split, in its order.

    Raises:
        ValueError: the encoding has a piece that the corpus does not have.
    """
    group = {row["id"]: row["group"] for row in read_pieces(corpus)}
    found = {}
    for split, part in tokens.splits.items():
        names = part.piece.tolist()
        missing = [name for name in names if name not in group]
        if missing:
            raise ValueError(
                f"{corpus} has no piece {missing[0]}, which encoding {tokens.name} holds; make "
                f"the encoding again with: dvc repro encode@{tokens.name}"
            )
        found[split] = np.array([group[name] for name in names], dtype=np.str_)
    return found


def drawn(tokens: TokenSet, splits: Sequence[str], most: int, seed: int) -> dict[str, Array]:
    """Numbers of at most `most` pieces of some splits, ascending; drawn by their names."""
    ranked = sorted(
        (seed_of(seed, name), split, number)
        for split in splits
        for number, name in enumerate(tokens.splits[split].piece.tolist())
    )[:most]
    return {
        split: np.array(sorted(n for _, s, n in ranked if s == split), dtype=np.int64)
        for split in splits
    }


def decoded(
    tokens: TokenSet, split: str, numbers: Sequence[int], representation: Representation
) -> Iterator[Piece]:
    """Pieces as the representation holds them, under their names in the corpus."""
    part = tokens.splits[split]
    for number in numbers:
        array = part.tokens_of(number)
        if array.dtype.kind != "f":
            array = array.astype(np.int32)
        piece = representation.decode(array)
        yield replace(piece, id=str(part.piece[number]))


def whole_excerpts(
    tokens: TokenSet,
    numbers: Mapping[str, Array],
    groups: Mapping[str, Array],
    representation: Representation,
) -> Excerpts:
    """Whole real pieces: these numbers of each split."""
    pieces = [
        piece
        for split, chosen in numbers.items()
        for piece in decoded(tokens, split, chosen.tolist(), representation)
    ]
    splits = [split for split, chosen in numbers.items() for _ in chosen]
    names = [np.empty(0, np.str_), *(groups[split][chosen] for split, chosen in numbers.items())]
    return Excerpts(
        pieces, np.concatenate(names), np.array(splits, np.str_), np.ones(len(pieces), bool)
    )


def sample_excerpts(pieces: Sequence[Piece], ended: Sequence[bool]) -> Excerpts:
    """Samples, each a group of its own."""
    names = np.array([piece.id for piece in pieces], dtype=np.str_)
    return Excerpts(pieces, names, np.full(len(pieces), ""), np.array(ended, dtype=bool))


def common_quarters(real: Sequence[Piece], bars: int) -> int:
    """The length that sets are cut to, see above; bars: at most so many of the commonest length.

    real: held-out pieces, or training pieces where a dataset holds none out.

    Raises:
        ValueError: there is no piece.
    """
    if not len(real):
        raise ValueError("the encoding has no piece to compare samples with; see its summary.json")
    lengths = np.array([length_of(piece) for piece in real])
    reached = float(np.quantile(lengths, 1 - REACHED_BY, method="lower"))
    most = SECONDS
    if not isinstance(real[0], Recording):
        meters = [float(piece.first_meter().bar_quarters()) for piece in real]
        values, counts = np.unique(meters, return_counts=True)
        most = bars * float(values[counts.argmax()])
    return max(1, int(min(reached, most) + EPSILON))


def cut_to(whole: Excerpts, quarters: int) -> Excerpts:
    """The first `quarters` of the pieces that are as long; notes that go on are cut off."""
    long = np.array([length_of(piece) >= quarters - EPSILON for piece in whole], dtype=bool)
    kept = whole.only(long)
    cuts = [_beginning(piece, quarters) for piece in kept]
    ended = [length_of(piece) <= quarters + EPSILON for piece in kept]
    return replace(kept, pieces=cuts, ended=kept.ended & np.array(ended, dtype=bool))


def length_of(piece: Piece | Recording) -> float:
    """Quarters of a piece, seconds of a recording."""
    return piece.seconds if isinstance(piece, Recording) else piece.quarters


def _beginning(piece: Any, length: int) -> Any:
    if isinstance(piece, Recording):
        return replace(piece, frames=piece.frames[: round(length * piece.rate)])
    return cut(piece, 0, length * piece.ticks_per_quarter)
