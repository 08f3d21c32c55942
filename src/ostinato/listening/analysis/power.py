"""What a study's n can find, before it starts."""

from dataclasses import dataclass

from ostinato.listening.analysis import binomial
from ostinato.listening.design import cells
from ostinato.listening.study import Study

SIZES = (10, 16, 20, 24, 30, 40, 50, 100)
SHARES = (0.6, 0.65, 0.7, 0.75, 0.8)
WILCOXON_EFFICIENCY = 0.955  # relative to the t-test for normal differences: 3 / π
LARGEST = 10_000
LOST = 0.15  # of the answers: ties, and listeners who are left out; for the table


@dataclass(frozen=True)
class Planned:
    """n: answers of each comparison (listeners for ratings); alpha: after Bonferroni.

    comparisons: tests that are corrected together, also that of all pairs and those of the anchor.
    """

    n: int
    alpha: float
    comparisons: int
    power: float
    needed: int
    needed_listeners: int


def planned(study: Study) -> Planned:
    """The power of a study's own n, and the n that it would need.

    ABX and which-is-human are tested one-sided, preferences and ratings two-sided. Alpha is
    divided by the number of tests that Holm corrects together, which is no less strict than Holm.

    Raises:
        ValueError: the effect is too small, or no share between 0.5 and 1.
    """
    rated = study.design in ("ratings", "mushra")
    comparisons = max(1, _tests(study))
    sides = 2 if rated or study.design == "ab" else 1
    alpha = study.power.alpha / comparisons
    if rated:
        found = _of_t(study.listeners, study.power.effect, alpha)
        effect, wanted = study.power.effect, study.power.wanted
        if _of_t(LARGEST, effect, alpha) < wanted:
            raise ValueError(
                f"power.effect={effect:g} needs more than {LARGEST} listeners; expect more"
            )
        needed = next(n for n in range(3, LARGEST + 1) if _of_t(n, effect, alpha) >= wanted)
        return Planned(study.listeners, alpha, comparisons, found, needed, needed)
    compared = max(1, len(cells(study)))
    n = study.trials * study.listeners // compared
    found = binomial.power(n, study.power.effect, alpha / sides)
    needed = binomial.needed(study.power.effect, alpha / sides, study.power.wanted)
    listeners = -(-needed * compared // study.trials)
    return Planned(n, alpha, comparisons, found, needed, listeners)


def _tests(study: Study) -> int:
    """How many tests the analysis corrects together."""
    if study.design in ("ratings", "mushra"):
        count = len(study.systems) + (study.design == "mushra")  # and the anchor
        return count * (count - 1) // 2
    compared = len(cells(study))
    has_whole = study.design in ("abx", "human") and compared > 1  # all comparisons together
    return compared + has_whole


def _of_t(listeners: int, effect: float, alpha: float) -> float:
    """Power of Wilcoxon's test, from that of the t-test with less listeners.

    It is 0 where even equal signs of all listeners have a p-value above alpha.
    """
    from statsmodels.stats.power import TTestPower

    if 2.0 ** (1 - listeners) > alpha:
        return 0.0
    return float(TTestPower().power(effect, listeners * WILCOXON_EFFICIENCY, alpha))


def check(study: Study) -> None:
    """Raise ValueError where n is below what the wanted power needs."""
    found = planned(study)
    if found.power < study.power.wanted:
        raise ValueError(
            f"listeners={study.listeners} give power {found.power:.2f} for the effect "
            f"{study.power.effect:g} at alpha {found.alpha:.3g} ({found.comparisons} tests), "
            f"wanted is {study.power.wanted:g}: set listeners: {found.needed_listeners}, expect a "
            "larger effect, or give underpowered=true"
        )


def table(study: Study) -> str:
    """Critical counts and power of exact one-sided tests, then the study's own, as text."""
    alpha = study.power.alpha
    head = "     n  right at least  " + "  ".join(f"p={share:g}" for share in SHARES)
    rows = [
        f"power of an exact one-sided test at alpha {alpha:g}, if every answer is right with p",
        head,
    ]
    for n in SIZES:
        powers = "  ".join(f"{binomial.power(n, share, alpha):6.2f}" for share in SHARES)
        rows.append(f"{n:6d}  {binomial.critical_count(n, alpha):14d}  {powers}")
    found = planned(study)
    unit = "listeners" if study.design in ("ratings", "mushra") else "answers a comparison"
    rows.append(
        f"this study: {found.comparisons} tests, {found.n} {unit}, power {found.power:.2f} "
        f"for effect {study.power.effect:g} at alpha {found.alpha:.3g}; power "
        f"{study.power.wanted:g} needs {found.needed} {unit}, that is {found.needed_listeners} "
        "listeners"
    )
    rows.append(
        f"ties and listeners who are left out do not count: with {100 * LOST:.0f} % fewer answers "
        f"the power is {_after_losses(study, found):.2f}; plan more listeners if you expect them"
    )
    return "\n".join(rows)


def _after_losses(study: Study, found: Planned) -> float:
    left = int(found.n * (1 - LOST))
    if study.design in ("ratings", "mushra"):
        return _of_t(left, study.power.effect, found.alpha)
    sides = 2 if study.design == "ab" else 1
    return binomial.power(left, study.power.effect, found.alpha / sides)
