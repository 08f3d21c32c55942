"""Logistic regression with random listeners and random items: what a population would do.

Fitted by the Laplace approximation of the likelihood, as lme4's glmer does (Bates et al. 2015,
Journal of Statistical Software 67). statsmodels has this model with a variational posterior only,
whose standard error of the intercept is half of glmer's on glmer's own example.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Array = npt.NDArray[np.float64]
STEPS = 200
TOLERANCE = 1e-16  # of the rise that a Newton step promises
ARMIJO, SMALLEST_PART = 1e-4, 1e-6  # of the rise that a step must keep; of a step
SMALLEST_LOG_SD = -6.0
SMALLEST_SD = 0.05  # below it a spread counts as none
LARGEST_SD = 5.0  # beyond it the approximation fails: nearly all answers of a level are alike


@dataclass(frozen=True)
class Mixed:
    """Log odds with its standard error; sds: of the random effects, in log odds, by name.

    share: of a typical listener and item; p: two-sided against even odds.
    """

    logit: float
    error: float
    low: float
    high: float
    share: float
    p: float
    sds: dict[str, float]
    n: int


class Unfit(ValueError):
    """The model cannot be fitted; the message is the reason."""


def fit(
    right: npt.ArrayLike, groups: Mapping[str, Sequence[Any]], offset: Array | None = None
) -> Mixed:
    """Fit `right ~ 1 + (1 | each of groups)`.

    Args:
        right: 0 or 1 of every answer.
        groups: the listener of every answer, the item of every answer.
        offset: fixed part of the log odds, if any.

    Raises:
        Unfit: all answers are equal, a group has one level, or its levels differ too much.
    """
    from scipy.stats import norm

    beta, errors, sds = _fitted(np.ones((len(np.asarray(right)), 1)), right, groups, offset)
    logit, error = float(beta[0]), float(errors[0])
    half = float(norm.isf(0.025)) * error
    return Mixed(
        logit,
        error,
        *(_share(logit - half), _share(logit + half), _share(logit)),
        float(2 * norm.sf(abs(logit / error))),
        sds,
        len(np.asarray(right)),
    )


def _share(logit: float) -> float:
    return float(expit(logit))


def _fitted(
    fixed: Array, right: npt.ArrayLike, groups: Mapping[str, Sequence[Any]], offset: Array | None
) -> tuple[Array, Array, dict[str, float]]:
    """Fixed effects, their standard errors and the standard deviations of the groups."""
    from scipy.optimize import minimize
    from statsmodels.tools.numdiff import approx_hess

    y = np.asarray(right, dtype=np.float64)
    if not 0 < y.mean() < 1:
        raise Unfit("all answers are equal")
    designs = {name: _indicators(values) for name, values in groups.items()}
    for name, design in designs.items():
        if design.shape[1] < 2:
            raise Unfit(f"there is one {name} only")
    base = np.zeros(len(y)) if offset is None else offset
    columns = fixed.shape[1]

    def deviance(parameters: Array) -> float:
        sds = np.exp(np.maximum(parameters[columns:], SMALLEST_LOG_SD))
        random = np.hstack([sd * z for sd, z in zip(sds, designs.values(), strict=True)])
        return -_laplace(y, base + fixed @ parameters[:columns], random)

    start = np.zeros(columns + len(designs))
    start[0], start[columns:] = np.log(y.mean() / (1 - y.mean())), np.log(0.5)
    bounds = [(None, None)] * columns + [(SMALLEST_LOG_SD, 3.0)] * len(designs)
    found = minimize(deviance, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12})
    for name, log_sd in zip(designs, found.x[columns:], strict=True):
        if log_sd > np.log(LARGEST_SD):
            raise Unfit(
                f"no finite spread between {name}s: nearly all answers of the same {name} are "
                "alike, or nearly all answers of all"
            )
    is_spread = found.x[columns:] > np.log(SMALLEST_SD)

    def curvature(free: npt.NDArray[np.bool_]) -> Array:
        def of_free(values: Array) -> float:
            point = found.x.copy()
            point[free] = values
            return deviance(point)

        return np.asarray(approx_hess(found.x[free], of_free))

    hessian = curvature(np.r_[np.full(columns, True), is_spread])
    if (
        np.linalg.eigvalsh(hessian).min() <= 0
    ):  # the likelihood is flat in a spread: take it as known
        hessian = curvature(np.r_[np.full(columns, True), np.full(len(designs), False)])
    errors = np.sqrt(np.diag(np.linalg.inv(hessian))[:columns])
    sds = np.where(is_spread, np.exp(found.x[columns:]), 0.0)
    return found.x[:columns], errors, dict(zip(designs, sds.tolist(), strict=True))


def _indicators(values: Sequence[Any]) -> Array:
    levels, index = np.unique(np.asarray(values), return_inverse=True)
    return np.eye(len(levels))[index]


def _laplace(y: Array, fixed: Array, random: Array) -> float:
    """Log-likelihood with the random effects (of unit variance) integrated by Laplace's method.

    Where spreads are large a full Newton step can lead away from the mode, so steps are halved
    until the density rises.
    """

    def log_density(eta: Array, effects: Array) -> float:
        return float(np.sum(y * eta - np.logaddexp(0, eta))) - 0.5 * float(effects @ effects)

    effects, eta = np.zeros(random.shape[1]), fixed
    density = log_density(eta, effects)
    for _ in range(STEPS):
        gradient = random.T @ (y - expit(eta)) - effects
        step = np.linalg.solve(_negative_hessian(eta, random), gradient)
        slope = float(gradient @ step)
        if slope < TOLERANCE:
            break
        part = 1.0
        while True:
            tried = effects + part * step
            tried_eta = fixed + random @ tried
            found = log_density(tried_eta, tried)
            if found >= density + ARMIJO * part * slope or part < SMALLEST_PART:
                break
            part /= 2
        effects, eta, density = tried, tried_eta, found
    _, log_determinant = np.linalg.slogdet(_negative_hessian(eta, random))
    return density - 0.5 * float(log_determinant)


def _negative_hessian(eta: Array, random: Array) -> Array:
    mean = expit(eta)
    found: Array = (random.T * (mean * (1 - mean))) @ random + np.eye(random.shape[1])
    return found
