"""Differences between two systems: paired where both have values of the same pieces.

p is two-sided, from the bootstrap over groups: twice the smaller share of resampled differences on
either side of 0, each counted with one more. Holm's correction is over the tests of one pair of
systems.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.metrics.bootstrap import (
    Interval,
    Values,
    expanded,
    grouped,
    percentiles,
    ratio_resamples,
)
from ostinato.seeds import seed_of

LEVEL = 0.95


@dataclass(frozen=True)
class Column:
    """One value of every piece of a set: Σ values · weights / Σ weights is the figure."""

    pieces: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    values: Values
    weights: Values

    def sums(self) -> list[Values]:
        """Numerators and denominators by group."""
        known = ~np.isnan(self.values)
        above = (self.values * self.weights)[known]
        return grouped([above, self.weights[known]], self.groups[known])


@dataclass(frozen=True)
class Difference:
    """A minus b, with its p-value; is_paired: both were measured on the same pieces."""

    interval: Interval
    p: float
    is_paired: bool


def difference(a: Column, b: Column, *, seed: int, resamples: int) -> Difference:
    """The difference of two figures; paired where both columns have the same pieces and weights."""
    paired = np.array_equal(a.pieces, b.pieces) and np.array_equal(a.weights, b.weights)
    if paired:
        known = ~(np.isnan(a.values) | np.isnan(b.values))
        above = ((a.values - b.values) * a.weights)[known]
        sums = grouped([above, a.weights[known]], a.groups[known])
        found = ratio_resamples(*sums, seed=seed, resamples=resamples)
        value, count = _whole(sums), len(sums[0])
    else:
        sides = [column.sums() for column in (a, b)]
        one, other = (
            ratio_resamples(*sums, seed=seed_of(seed, side), resamples=resamples)
            for side, sums in enumerate(sides)
        )
        found, value = one - other, _whole(sides[0]) - _whole(sides[1])
        count = min(len(sums[0]) for sums in sides)
    low, high = percentiles(found, expanded(LEVEL, count))
    return Difference(Interval(value, low, high, len(a.values), 0, count), _p(found), paired)


def holm(p: Sequence[float]) -> list[float]:
    """P-values after Holm's (1979) correction for so many tests; NaN stays and is no test."""
    values = np.asarray(p, dtype=np.float64)
    order = [i for i in np.argsort(values).tolist() if not np.isnan(values[i])]
    corrected, least = values.copy(), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * float(values[i])))
        corrected[i] = least
    found: list[float] = corrected.tolist()
    return found


def _whole(sums: Sequence[Values]) -> float:
    below = float(sums[1].sum())
    return float(sums[0].sum()) / below if below else float("nan")


def _p(found: Values) -> float:
    known = found[~np.isnan(found)]
    if not len(known):
        return float("nan")
    beyond = min((known <= 0).sum(), (known >= 0).sum()) + 1
    return min(1.0, 2 * float(beyond) / (len(known) + 1))
