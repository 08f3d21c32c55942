"""Right answers against guessing: exact tests and intervals, power, equivalence to chance.

Under the hypothesis that nobody hears anything all answers are independent tosses, because the
server tossed for the orders; so the pooled exact test is valid for that hypothesis, if n was fixed
before the test. What a population of listeners and pieces would do is `mixed.py`.
"""

from dataclasses import dataclass

from scipy.stats import binom, binomtest

CHANCE = 0.5
LEVEL = 0.95
LARGEST = 100_000


@dataclass(frozen=True)
class Share:
    """A share of n answers with its Clopper-Pearson interval and the p-value against chance."""

    count: int
    n: int
    share: float
    low: float
    high: float
    p: float


def share_of(count: int, n: int, *, alternative: str = "greater") -> Share:
    """Exact binomial test of a count (Clopper and Pearson 1934 for the interval).

    Raises:
        ValueError: no answers.
    """
    test = binomtest(count, n, CHANCE, alternative=alternative)
    interval = binomtest(count, n, CHANCE).proportion_ci(LEVEL, method="exact")
    return Share(count, n, count / n, float(interval.low), float(interval.high), float(test.pvalue))


def critical_count(n: int, alpha: float) -> int:
    """The smallest number of right answers of n with p of at most alpha; n + 1 if there is none."""
    count = int(binom.isf(alpha, n, CHANCE)) + 1
    while count > 0 and binom.sf(count - 2, n, CHANCE) <= alpha:
        count -= 1
    return count


def power(n: int, effect: float, alpha: float) -> float:
    """The probability of at least the critical count where every answer is right with `effect`."""
    return float(binom.sf(critical_count(n, alpha) - 1, n, effect))


def needed(effect: float, alpha: float, wanted: float) -> int:
    """The smallest n from which on the power stays at `wanted`; exact power is a saw-tooth.

    Raises:
        ValueError: no effect, or one so small that n would exceed 100,000.
    """
    if not CHANCE < effect < 1:
        raise ValueError(f"power.effect={effect} must be between 0.5 and 1")
    high = 2
    while high < LARGEST and power(high, effect, alpha) < wanted:
        high *= 2
    if high >= LARGEST:
        raise ValueError(f"power.effect={effect} needs more than {LARGEST} answers; expect more")
    last = next((n for n in range(2 * high, 0, -1) if power(n, effect, alpha) < wanted), 0)
    return last + 1


def equivalent_to_chance(count: int, n: int, margin: float) -> float:
    """P of two one-sided exact tests that the share lies within chance ± margin (Schuirmann 1987).

    A small p says that listeners cannot tell: "not significant" alone does not.
    """
    from statsmodels.stats.proportion import binom_tost

    return float(binom_tost(count, n, CHANCE - margin, CHANCE + margin)[0])
