"""Confidence intervals of means: expanded percentile bootstrap over groups of pieces.

Groups (pieces of one work) are resampled, not pieces or tokens: versions of a tune depend on each
other as tokens of a piece do. Bounds are resampled values (quantiles without interpolation, rounded
outwards), so one infinite value does not make both bounds infinite. Plain percentile intervals are
too narrow for few groups; the level is widened as Hesterberg (2015, The American Statistician 69,
section 4.2) derives from Student's t. One group alone has no interval. To compare two systems on
the same pieces, take the interval of the differences (`differences.py`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
FEWEST_GROUPS = 2
BLOCK = 1 << 22  # indices drawn at once: 32 MiB


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its interval; all three are NaN where nothing could be measured.

    count: pieces used; ignored: those for which the value is undefined; groups: of the used ones.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    count: int = 0
    ignored: int = 0
    groups: int = 0

    def plain(self) -> dict[str, float | int | None]:
        """As JSON-able data; see `plain_number`."""
        bounds = {"value": self.value, "low": self.low, "high": self.high}
        finite = {name: plain_number(x) for name, x in bounds.items()}
        counts = {"count": self.count, "ignored": self.ignored, "groups": self.groups}
        return {**finite, **counts}


def plain_number(x: float) -> float | None:
    """To nine significant digits: later ones depend on the linear algebra library and its threads.

    None for NaN and infinity, which JSON lacks.
    """
    return float(f"{x:.9g}") if math.isfinite(x) else None


def mean_interval(
    values: npt.ArrayLike,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
    groups: npt.ArrayLike | None = None,
) -> Interval:
    """Mean of one value per piece, ignoring NaN, and its interval; see ratio_interval."""
    array = np.asarray(values, dtype=np.float64)
    ones = np.ones_like(array)
    return ratio_interval(array, ones, seed=seed, resamples=resamples, level=level, groups=groups)


def ratio_interval(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
    groups: npt.ArrayLike | None = None,
) -> Interval:
    """Σ numerators / Σ denominators over pieces, such as nats per note: long pieces weigh more.

    A piece's numerator and denominator are resampled together. Pieces with a NaN in either are
    ignored.

    Args:
        groups: the name of the group of every piece; without, each piece is its own.

    Raises:
        ValueError: lengths differ, a denominator is negative, or an option is out of range.
    """
    above, below = (np.asarray(x, dtype=np.float64) for x in (numerators, denominators))
    if above.ndim != 1 or above.shape != below.shape:
        raise ValueError(f"give one number for each piece: got shapes {above.shape}, {below.shape}")
    if (below < 0).any():
        raise ValueError("a denominator is negative; denominators are counts or lengths")
    known = ~(np.isnan(above) | np.isnan(below))
    count, ignored = int(known.sum()), int((~known).sum())
    sums = grouped([above[known], below[known]], None if groups is None else _named(groups, known))
    ratios = ratio_resamples(*sums, seed=seed, resamples=resamples)
    value = float(_ratio(sums[0].sum(keepdims=True), sums[1].sum(keepdims=True))[0])
    low, high = percentiles(ratios, expanded(level, len(sums[0])))
    return Interval(value, low, high, count, ignored, len(sums[0]))


def grouped(columns: Sequence[Values], groups: npt.NDArray[Any] | None) -> list[Values]:
    """Sums of every column over the pieces of each group."""
    if groups is None:
        return list(columns)
    names, number = np.unique(groups, return_inverse=True)
    # of no pieces, bincount returns integers
    return [np.bincount(number, column, len(names)).astype(np.float64) for column in columns]


def ratio_resamples(above: Values, below: Values, *, seed: int, resamples: int) -> Values:
    """Σ above / Σ below of `resamples` draws of the groups; NaN where Σ below is 0."""
    return np.concatenate(
        [
            _ratio(above[rows].sum(axis=1), below[rows].sum(axis=1))
            for rows in resampled(len(above), seed, resamples)
        ]
    )


def expanded(level: float, groups: int) -> float:
    """The level of a percentile interval that covers `level` with so few groups; NaN of one."""
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1, for example 0.95")
    if groups < FEWEST_GROUPS:
        return math.nan
    from scipy.special import ndtr, stdtrit

    t = stdtrit(groups - 1, (1 + level) / 2) * math.sqrt(groups / (groups - 1))
    return float(2 * ndtr(t) - 1)


def _named(groups: npt.ArrayLike, known: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    names = np.asarray(groups)
    if names.shape != known.shape:
        raise ValueError(f"give one group for each piece: {names.shape} for {known.shape}")
    return names[known]


def resampled(count: int, seed: int, resamples: int) -> Iterator[npt.NDArray[np.int64]]:
    """Blocks of rows of `count` indices drawn with replacement; `resamples` rows in all."""
    if resamples < 1:
        raise ValueError(f"resamples={resamples} must be at least 1")
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK // max(1, count))
    for start in range(0, resamples, rows):
        shape = (min(rows, resamples - start), count)
        # `integers` refuses to draw from an empty range
        yield generator.integers(0, count, shape) if count else np.empty(shape, dtype=np.int64)


def percentiles(values: Values, level: float) -> tuple[float, float]:
    """Bounds of the central `level` of the values, ignoring NaN; NaN if there are none, or if the
    level is NaN.
    """
    known = values[~np.isnan(values)]
    if not len(known) or math.isnan(level):
        return math.nan, math.nan
    tail = (1 - level) / 2
    low = np.quantile(known, tail, method="lower")
    high = np.quantile(known, 1 - tail, method="higher")
    return float(low), float(high)


def _ratio(above: Values, below: Values) -> Values:
    """Above / below; NaN where below is 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
