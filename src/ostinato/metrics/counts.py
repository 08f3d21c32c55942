"""A measure of a piece as two counts, whose quotient is the measure's value.

The value of a set of pieces is the sum of the upper counts over the sum of the lower ones, so every
pair, beat or bar weighs the same, and a piece in which there is nothing to count weighs nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.metrics.bootstrap import Interval, percentiles
from ostinato.music.piece import Piece

Values = npt.NDArray[np.float64]


class Count(NamedTuple):
    """`above` / `below`; undefined where `below` is 0."""

    above: float
    below: float


@dataclass(frozen=True)
class Counted:
    """What a quotient of counts says: `scale` times it, in `unit`; and which values are better."""

    label: str
    unit: str = "share"
    scale: float = 1.0
    direction: Literal["corpus", "lower"] = "corpus"


@dataclass(frozen=True)
class Counts:
    """The counts of one measure of many pieces, arrays of shape (pieces,)."""

    above: Values
    below: Values

    def per_piece(self) -> Values:
        """The value of every piece; NaN where it is undefined."""
        unknown = np.full_like(self.above, np.nan)
        return np.divide(self.above, self.below, out=unknown, where=self.below > 0)


def count_all(
    pieces: Iterable[Piece], counted: Mapping[str, Counted], of: Callable[[Piece], dict[str, Count]]
) -> dict[str, Counts]:
    """The counts of all pieces by the names of `counted`; what `of` leaves out is undefined."""
    nothing = Count(0.0, 0.0)
    rows = [of(piece) for piece in pieces]
    found = {}
    for name, text in counted.items():
        pairs = np.array([row.get(name, nothing) for row in rows], dtype=np.float64).reshape(-1, 2)
        found[name] = Counts(text.scale * pairs[:, 0], pairs[:, 1])
    return found


def floor_interval(counts: Counts, pieces: int, *, seed: int, resamples: int) -> Interval:
    """The value that `pieces` pieces drawn from these would get: median and central 95 %.

    Pieces for which the value is undefined are not drawn. Draws are without replacement where there
    are as many pieces.
    """
    defined = counts.below > 0
    total = int(defined.sum())
    if not total or not pieces:
        return Interval(count=pieces)
    rows = _drawn(total, pieces, seed, resamples)
    values = counts.above[defined][rows].sum(axis=1) / counts.below[defined][rows].sum(axis=1)
    return Interval(float(np.median(values)), *percentiles(values, 0.95), pieces)


@lru_cache(maxsize=4)  # all figures of a measure are drawn from the same pieces
def _drawn(total: int, pieces: int, seed: int, resamples: int) -> npt.NDArray[np.int64]:
    """Rows of `pieces` numbers below `total`."""
    generator = np.random.default_rng(seed)
    if pieces > total:
        return generator.integers(0, total, (resamples, pieces))
    return generator.random((resamples, total)).argsort(axis=1)[:, :pieces]
