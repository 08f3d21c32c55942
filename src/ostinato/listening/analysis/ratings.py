"""Ratings of several systems by the same listeners: Friedman, then Wilcoxon with Holm.

Friedman (1937), Wilcoxon (1945), Holm (1979). A listener's mean of each system is one value, so
listeners are the sample.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import friedmanchisquare, wilcoxon

LEVEL = 0.95
DIGITS = 9  # of differences: equal ones must stay ties, though means of thirds are rounded


@dataclass(frozen=True)
class Means:
    """Mean rating of each system with a bootstrap interval over listeners; NaN for one listener."""

    mean: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]


@dataclass(frozen=True)
class Pair:
    """One comparison: mean difference, p of Wilcoxon, Holm's p, p of equivalence."""

    first: str
    second: str
    difference: float
    p: float
    holm: float
    equivalence: float


def table_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Listeners × systems: means of `answer`; listeners that lack a system are left out."""
    values = frame.assign(answer=frame["answer"].astype(float))
    table = values.pivot_table(index="listener", columns="system", values="answer", aggfunc="mean")
    return table.dropna()


def means(table: pd.DataFrame, *, seed: int, resamples: int) -> Means:
    """Means of the systems and their intervals."""
    values = table.to_numpy()
    names = [str(name) for name in table.columns]
    if len(values) < 2:  # all resamples of one listener are alike
        nothing = dict.fromkeys(names, float("nan"))
        return Means(dict(zip(names, values.mean(axis=0).tolist(), strict=True)), nothing, nothing)
    chosen = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    drawn = values[chosen].mean(axis=1)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    found = (values.mean(axis=0), low, high)
    return Means(*(dict(zip(names, each.tolist(), strict=True)) for each in found))


def friedman(table: pd.DataFrame) -> tuple[float, float]:
    """Chi-square and p that all systems are rated alike; NaN for fewer than three systems."""
    if table.shape[1] < 3 or len(table) < 2:
        return float("nan"), float("nan")
    found = friedmanchisquare(*(table[name] for name in table.columns))
    return float(found.statistic), float(found.pvalue)


def signed_rank(difference: npt.ArrayLike, *, alternative: str = "two-sided") -> float:
    """P of Wilcoxon's signed-rank test; 1 where no listener rates the two differently, NaN where
    there is no listener.
    """
    values = np.round(np.asarray(difference, dtype=np.float64), DIGITS)
    if not len(values):
        return float("nan")
    if not np.any(values):
        return 1.0
    return float(wilcoxon(values, alternative=alternative).pvalue)


def equivalence(difference: npt.ArrayLike, margin: float) -> float:
    """P of two one-sided t-tests that the mean difference lies within ± margin (Schuirmann 1987).

    NaN for fewer than two listeners, or if all differences are equal.
    """
    from statsmodels.stats.weightstats import DescrStatsW

    values = np.round(np.asarray(difference, dtype=np.float64), DIGITS)
    if len(values) < 2 or not np.ptp(values):
        return float("nan")
    return float(DescrStatsW(values).ttost_mean(-margin, margin)[0])


def pairs(table: pd.DataFrame, margin: float) -> list[Pair]:
    """All pairs of systems, corrected by Holm."""
    found = []
    for first, second in combinations([str(name) for name in table.columns], 2):
        difference = (table[first] - table[second]).to_numpy()
        found.append((first, second, float(difference.mean()), signed_rank(difference), difference))
    corrected = holm([p for _, _, _, p, _ in found])
    return [
        Pair(first, second, mean, p, corrected_p, equivalence(difference, margin))
        for (first, second, mean, p, difference), corrected_p in zip(found, corrected, strict=True)
    ]


def holm(p: list[float]) -> list[float]:
    """Holm's corrected p-values; NaN stays NaN and does not count."""
    from statsmodels.stats.multitest import multipletests

    values = np.array(p, dtype=np.float64)
    known = ~np.isnan(values)
    if known.any():
        values[known] = multipletests(values[known], method="holm")[1]
    return [float(value) for value in values]
