"""Confidence intervals of means: percentile bootstrap over pieces (Efron 1979).

Pieces are resampled, not tokens: the tokens of a piece depend on each other. Bounds are resampled
values (quantiles without interpolation, rounded outwards), so one infinite value does not make both
bounds infinite. To compare two systems on the same pieces, take the interval of the differences.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
BLOCK = 1 << 22  # indices drawn at once: 32 MiB


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its interval; all three are NaN where nothing could be measured.

    count: pieces used; ignored: pieces for which the value is undefined.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    count: int = 0
    ignored: int = 0

    def plain(self) -> dict[str, float | int | None]:
        """As JSON-able data; NaN and infinity, which JSON lacks, become None."""
        bounds = {"value": self.value, "low": self.low, "high": self.high}
        finite = {name: x if math.isfinite(x) else None for name, x in bounds.items()}
        return {**finite, "count": self.count, "ignored": self.ignored}


def mean_interval(
    values: npt.ArrayLike, *, seed: int, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """Mean of one value per piece, ignoring NaN, and the central `level` of resampled means."""
    array = np.asarray(values, dtype=np.float64)
    return ratio_interval(array, np.ones_like(array), seed=seed, resamples=resamples, level=level)


def ratio_interval(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Σ numerators / Σ denominators over pieces, such as nats per note: long pieces weigh more.

    A piece's numerator and denominator are resampled together. Pieces with a NaN in either are
    ignored.

    Raises:
        ValueError: lengths differ, a denominator is negative, or an option is out of range.
    """
    above, below = (np.asarray(x, dtype=np.float64) for x in (numerators, denominators))
    if above.ndim != 1 or above.shape != below.shape:
        raise ValueError(f"give one number for each piece: got shapes {above.shape}, {below.shape}")
    if (below < 0).any():
        raise ValueError("a denominator is negative; denominators are counts or lengths")
    known = ~(np.isnan(above) | np.isnan(below))
    above, below = above[known], below[known]
    ratios = np.concatenate(
        [
            _ratio(above[rows].sum(axis=1), below[rows].sum(axis=1))
            for rows in resampled(len(above), seed, resamples)
        ]
    )
    value = float(_ratio(above.sum(keepdims=True), below.sum(keepdims=True))[0])
    low, high = percentiles(ratios, level)
    return Interval(value, low, high, len(above), len(known) - len(above))


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
    """Bounds of the central `level` of the values, ignoring NaN; NaN if there are none."""
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1, for example 0.95")
    known = values[~np.isnan(values)]
    if not len(known):
        return math.nan, math.nan
    tail = (1 - level) / 2
    low = np.quantile(known, tail, method="lower")
    high = np.quantile(known, 1 - tail, method="higher")
    return float(low), float(high)


def _ratio(above: Values, below: Values) -> Values:
    """Above / below; NaN where below is 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
