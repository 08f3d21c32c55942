"""Distance of a system's pieces from the corpus, for one feature at a time."""

import math

import numpy as np
import numpy.typing as npt

from ostinato.metrics.bootstrap import Interval, percentiles, resampled
from ostinato.seeds import seed_of


def wasserstein_interval(
    ours: npt.ArrayLike,
    theirs: npt.ArrayLike,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Wasserstein-1 distance of two samples of a feature, in its unit; lower is closer.

    NaN is ignored. Both samples are resampled. Two finite samples of one distribution have a
    distance above 0, and resampling biases it further upwards: the interval is widened to include
    the value, and the distance should be compared with that of training and test pieces. NaN if
    either sample is empty; `count` and `ignored` are over both samples.
    """
    from scipy.stats import wasserstein_distance  # takes a second to import

    samples = [np.asarray(sample, dtype=np.float64) for sample in (ours, theirs)]
    first, second = (sample[~np.isnan(sample)] for sample in samples)
    count = len(first) + len(second)
    ignored = sum(len(sample) for sample in samples) - count
    if not len(first) or not len(second):
        return Interval(math.nan, math.nan, math.nan, count, ignored)
    value = float(wasserstein_distance(first, second))
    draws = zip(
        (row for rows in resampled(len(first), seed_of(seed, 0), resamples) for row in rows),
        (row for rows in resampled(len(second), seed_of(seed, 1), resamples) for row in rows),
        strict=True,
    )
    distances = np.array([wasserstein_distance(first[a], second[b]) for a, b in draws])
    low, high = percentiles(distances, level)
    return Interval(value, min(low, value), max(high, value), count, ignored)
