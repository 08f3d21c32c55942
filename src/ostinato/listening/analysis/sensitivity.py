"""d': how far apart two sources are, in standard deviations of what a listener hears.

Macmillan and Creelman (2005), Detection Theory, chapters 7 and 9. Pieces differ from trial to
trial, for which the differencing rule of ABX is the fitting model.
"""

import math

from scipy.optimize import brentq
from scipy.stats import norm

LARGEST = 10.0


def abx_share(d: float) -> float:
    """Share of right answers of an unbiased ABX listener who compares differences."""
    root2, root6 = d / math.sqrt(2), d / math.sqrt(6)
    return float(norm.cdf(root2) * norm.cdf(root6) + norm.cdf(-root2) * norm.cdf(-root6))


def afc_share(d: float) -> float:
    """Share of right answers of an unbiased listener with two alternatives."""
    return float(norm.cdf(d / math.sqrt(2)))


def d_prime(share: float, design: str) -> float:
    """D' of a share of right answers; negative below chance, infinite for 1.

    design: abx or human.
    """
    if share < 0.5:
        return -d_prime(1 - share, design)
    model = abx_share if design == "abx" else afc_share
    if share >= model(LARGEST):
        return math.inf
    return float(brentq(lambda d: model(d) - share, 0.0, LARGEST))
