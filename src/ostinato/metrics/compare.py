"""How far apart the distributions of one feature are in two sets of pieces, and the floor of that.

The floor is what a perfect model would get: the distance between held-out music and draws of as
many pieces of real music as there are samples. It is never 0, and it grows as samples get fewer.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.metrics.bootstrap import Interval, Values, expanded, percentiles, resampled
from ostinato.seeds import seed_of

LEVEL = 0.95


def wasserstein_interval(
    ours: npt.ArrayLike,
    theirs: npt.ArrayLike,
    *,
    seed: int,
    resamples: int = 2000,
    groups: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
) -> Interval:
    """Wasserstein-1 distance ∫|F − G| of two sets of a feature, in its unit; lower is closer.

    NaN is ignored. Groups of both sets are resampled. Resampling moves the distance upwards; the
    interval is moved back by the median of that, and never below 0. It is widened for the groups of
    the smaller set. NaN where a set is empty; `count`, `ignored` and `groups` are over both sets.
    """
    (first, second), names, ignored = _known((ours, theirs), groups)
    if not len(first) or not len(second):
        return Interval(count=len(first) + len(second), ignored=ignored)
    weights = [_weights(names[side], seed_of(seed, side), resamples) for side in range(len(names))]
    ones = [np.ones((1, len(values))) for values in (first, second)]
    value = float(_distances((first, second), ones)[0])
    found = _distances((first, second), weights)
    counts = [len(np.unique(side)) for side in names]
    shift = float(np.median(found)) - value
    low, high = percentiles(found - shift, expanded(LEVEL, min(counts)))
    low = float(np.maximum(0.0, low))  # NaN stays
    return Interval(value, low, high, len(first) + len(second), ignored, sum(counts))


def wasserstein_floor(
    real: npt.ArrayLike, theirs: npt.ArrayLike, count: int, *, seed: int, resamples: int = 2000
) -> Interval:
    """Distance between `theirs` and draws of `count` pieces from `real`: median and central 95 %.

    Draws are without replacement where `real` has as many pieces.
    """
    (first, second), _, ignored = _known((real, theirs), None)
    if not len(first) or not len(second) or not count:
        return Interval(count=len(first) + len(second), ignored=ignored)
    generator = np.random.default_rng(seed_of(seed, "floor"))
    weights = np.zeros((resamples, len(first)))
    if count <= len(first):
        chosen = generator.random((resamples, len(first))).argsort(axis=1)[:, :count]
    else:
        chosen = generator.integers(0, len(first), (resamples, count))
    np.add.at(weights, (np.arange(resamples)[:, None], chosen), 1)
    found = _distances((first, second), [weights, np.ones((1, len(second)))])
    low, high = percentiles(found, LEVEL)
    return Interval(float(np.median(found)), low, high, count, ignored, count)


def _known(
    sets: tuple[npt.ArrayLike, npt.ArrayLike], groups: tuple[npt.ArrayLike, npt.ArrayLike] | None
) -> tuple[list[Values], list[npt.NDArray[Any]], int]:
    """The values that are numbers, their groups, and how many are not."""
    arrays = [np.asarray(values, dtype=np.float64) for values in sets]
    names = [np.arange(len(a)) for a in arrays] if groups is None else [*map(np.asarray, groups)]
    masks = [~np.isnan(values) for values in arrays]
    known = [values[mask] for values, mask in zip(arrays, masks, strict=True)]
    kept = [each[mask] for each, mask in zip(names, masks, strict=True)]
    return known, kept, sum(len(a) for a in arrays) - sum(len(a) for a in known)


def _weights(groups: npt.NDArray[Any], seed: int, resamples: int) -> Values:
    """How often every piece is in each resample of the groups, (resamples, pieces)."""
    names, number = np.unique(groups, return_inverse=True)
    blocks = []
    for rows in resampled(len(names), seed, resamples):
        counts = np.zeros((len(rows), len(names)))
        np.add.at(counts, (np.arange(len(rows))[:, None], rows), 1)
        blocks.append(counts[:, number])
    return np.concatenate(blocks)


def _distances(sets: tuple[Values, Values], weights: list[Values]) -> Values:
    """Wasserstein-1 distances of weighted sets, one for each row of the weights."""
    grid = np.unique(np.concatenate(sets))
    if len(grid) == 1:
        return np.zeros(max(len(rows) for rows in weights))
    shares = []
    for values, rows in zip(sets, weights, strict=True):
        order = np.argsort(values, kind="stable")
        ends = np.searchsorted(values[order], grid[:-1], side="right")
        sums = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows[:, order], axis=1)], axis=1)
        shares.append(sums[:, ends] / sums[:, -1:])
    distances: Values = np.abs(shares[0] - shares[1]) @ np.diff(grid)
    return distances
