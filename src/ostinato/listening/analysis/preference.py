"""Strengths of systems from choices: Bradley and Terry (1952), with ties of Davidson (1970).

P(i) ∝ πᵢ, P(j) ∝ πⱼ, P(tie) ∝ ν √(πᵢ πⱼ). The model is log-linear (Fienberg and Larntz 1976), so
statsmodels' Poisson regression fits it: log of each count = pair + strengths + tie.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
LEVEL = 0.95
MOST_FAILED = 0.05  # of the resamples, before an interval is withheld
TIE = "tie"

Choice = tuple[str, str, str]  # two systems, and the chosen one or "tie"


class NoEstimate(ValueError):
    """No finite strengths: a group of systems won, or lost, everything against the others."""


@dataclass(frozen=True)
class Strengths:
    """Log strengths with mean 0, by system; nu: weight of ties."""

    log_strengths: dict[str, float]
    nu: float


@dataclass(frozen=True)
class Ranking:
    """Strengths with bootstrap intervals over listeners; bounds are NaN where they are withheld.

    differences: p of each pair, two-sided, from the same resamples.
    """

    strengths: Strengths
    low: dict[str, float]
    high: dict[str, float]
    differences: dict[tuple[str, str], float]
    resamples: int
    failed: int


def strengths_of(choices: Sequence[Choice], systems: Sequence[str]) -> Strengths:
    """Maximum likelihood strengths.

    Raises:
        NoEstimate: Ford's condition (1957) fails; names the systems that never lost.
    """
    return _fit(_counts(choices, systems), systems)


def ranking(
    by_listener: Mapping[object, Sequence[Choice]],
    systems: Sequence[str],
    *,
    seed: int,
    resamples: int,
) -> Ranking:
    """Strengths, and percentile intervals of resampled listeners.

    Raises:
        NoEstimate: as `strengths_of`, for the whole sample.
    """
    tables = np.array([_counts(choices, systems) for choices in by_listener.values()])
    strengths = _fit(tables.sum(axis=0), systems)
    rng = np.random.default_rng(seed)
    drawn, failed = [], 0
    for _ in range(resamples):
        chosen = rng.integers(len(tables), size=len(tables))
        try:
            found = _fit(tables[chosen].sum(axis=0), systems)
            drawn.append([found.log_strengths[name] for name in systems])
        except NoEstimate:
            failed += 1
    is_known = failed <= MOST_FAILED * resamples and len(tables) > 1  # one: all resamples are alike
    values = np.array(drawn).reshape(-1, len(systems))
    low, high = (
        np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        if is_known
        else np.full((2, len(systems)), np.nan)
    )
    pairs = [(a, b) for n, a in enumerate(systems) for b in systems[n + 1 :]]
    return Ranking(
        strengths,
        dict(zip(systems, low.tolist(), strict=True)),
        dict(zip(systems, high.tolist(), strict=True)),
        {pair: _p(values, systems, pair) if is_known else float("nan") for pair in pairs},
        resamples,
        failed,
    )


def _p(values: Array, systems: Sequence[str], pair: tuple[str, str]) -> float:
    """Twice the smaller share of resampled differences on either side of 0, each with one more."""
    a, b = (list(systems).index(name) for name in pair)
    difference = values[:, a] - values[:, b]
    sides = [(difference <= 0).sum() + 1, (difference >= 0).sum() + 1]
    return float(min(1.0, 2 * min(sides) / (len(difference) + 1)))


def _counts(choices: Sequence[Choice], systems: Sequence[str]) -> Array:
    """wins[0, i, j]: i over j; wins[1, i, j] with i < j: ties."""
    place = {name: number for number, name in enumerate(systems)}
    counts = np.zeros((2, len(systems), len(systems)))
    for first, second, chosen in choices:
        i, j = place[first], place[second]
        if chosen == TIE:
            counts[1, min(i, j), max(i, j)] += 1
        else:
            counts[0, place[chosen], j if chosen == first else i] += 1
    return counts


def _fit(counts: Array, systems: Sequence[str]) -> Strengths:
    from statsmodels.api import GLM, families
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    _check_connected(counts, systems)
    size, has_ties = len(systems), counts[1].sum() > 0
    pairs = [
        (i, j)
        for i in range(size)
        for j in range(i + 1, size)
        if counts[0, i, j] + counts[0, j, i] + counts[1, i, j]
    ]
    rows, observed = [], []
    for number, (i, j) in enumerate(pairs):
        outcomes = [(counts[0, i, j], {i: 1.0}), (counts[0, j, i], {j: 1.0})]
        if has_ties:
            outcomes.append((counts[1, i, j], {i: 0.5, j: 0.5, size: 1.0}))
        for count, weights in outcomes:
            row = np.zeros(size + 1 + len(pairs))
            for column, weight in weights.items():
                row[column] = weight
            row[size + 1 + number] = 1
            rows.append(row)
            observed.append(count)
    kept = [*range(1, size), *([size] if has_ties else []), *range(size + 1, size + 1 + len(pairs))]
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        # two systems: as many counts as weights, so there is no scale and all is predicted
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        fitted = GLM(np.array(observed), np.array(rows)[:, kept], family=families.Poisson()).fit()
    found = np.r_[0.0, fitted.params[: size - 1]]
    found = found - found.mean()
    nu = float(np.exp(fitted.params[size - 1])) if has_ties else 0.0
    return Strengths(dict(zip(systems, found.tolist(), strict=True)), nu)


def _has_ladder(wins: Array, ties: Array) -> bool:
    """Whether steps exist with each winner a step or more above the loser, and ties within a step.

    The likelihood then grows without end as the steps and the weight of ties grow together.
    """
    from scipy.sparse.csgraph import NegativeCycleError, bellman_ford

    steps = np.where(wins > 0, -1.0, np.where(ties > 0, 1.0, 0.0))
    try:
        bellman_ford(steps)
    except NegativeCycleError:
        return False
    return True


def _check_connected(counts: Array, systems: Sequence[str]) -> None:
    """Ford's condition: however systems are divided, each part won or tied against the other."""
    from scipy.sparse.csgraph import connected_components

    ties = counts[1] + counts[1].T
    beats = counts[0] + ties
    number, labels = connected_components(beats > 0, connection="strong")
    if number == 1 and ties.any() and _has_ladder(counts[0], ties):
        never = [name for n, name in enumerate(systems) if not counts[0][:, n].any()]
        raise NoEstimate(
            f"no finite strengths: all wins fit one order of the systems, and ties join its "
            f"neighbours ({', '.join(never)} never lost); more answers are needed"
        )
    if number > 1:
        losses = [
            name
            for n, name in enumerate(systems)
            if not any(beats[m, n] and labels[m] != labels[n] for m in range(len(systems)))
        ]
        raise NoEstimate(
            f"no finite strengths: {', '.join(losses)} never lost to the other systems; "
            "more answers are needed"
        )
