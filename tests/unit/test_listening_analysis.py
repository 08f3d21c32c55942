"""Every statistic against a published worked example or another implementation."""

import csv
import math
from pathlib import Path

import choix
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import binomtest, ttest_1samp, wilcoxon

from ostinato.listening.analysis import binomial, mixed, preference, ratings
from ostinato.listening.analysis.page import chart
from ostinato.listening.analysis.sensitivity import abx_share, afc_share, d_prime

FIXTURES = Path(__file__).parent / "fixtures"


def test_the_exact_interval_is_that_of_rs_example():
    """binom.test(682, 925, 3/4) of R (Conover 1971, p. 97): interval 0.7076683 to 0.7654066."""
    found = binomial.share_of(682, 925)
    assert (found.low, found.high) == pytest.approx((0.7076683, 0.7654066), abs=1e-7)
    assert binomial.share_of(12, 16).p == pytest.approx(0.0384064, abs=1e-7)  # 2517 / 65536


@pytest.mark.parametrize(
    ("n", "critical", "at_07", "at_08"),
    [
        (10, 9, 0.15, 0.38),
        (16, 12, 0.45, 0.80),
        (20, 15, 0.42, 0.80),
        (24, 17, 0.56, 0.91),
        (30, 20, 0.73, 0.97),
        (40, 26, 0.81, 0.99),
        (50, 32, 0.86, 1.0),
        (100, 59, 0.99, 1.0),
    ],
)
def test_critical_counts_and_power(n, critical, at_07, at_08):
    """Against binomtest, and powers computed with another program (shared table, two digits)."""
    assert binomial.critical_count(n, 0.05) == critical
    assert binomtest(critical, n, 0.5, "greater").pvalue <= 0.05
    assert binomtest(critical - 1, n, 0.5, "greater").pvalue > 0.05
    assert binomial.power(n, 0.7, 0.05) == pytest.approx(at_07, abs=0.006)
    assert binomial.power(n, 0.8, 0.05) == pytest.approx(at_08, abs=0.006)


def test_the_needed_n_keeps_its_power_although_power_is_a_saw_tooth():
    n = binomial.needed(0.7, 0.05, 0.8)
    assert all(binomial.power(m, 0.7, 0.05) >= 0.8 for m in range(n, n + 50))
    assert binomial.power(n - 1, 0.7, 0.05) < 0.8
    for effect in (0.5, 1.0, 0.500001):
        with pytest.raises(ValueError, match=r"power\.effect"):
            binomial.needed(effect, 0.05, 0.8)


def test_equivalence_is_two_one_sided_exact_tests():
    low = binomtest(52, 100, 0.4, "greater").pvalue
    high = binomtest(52, 100, 0.6, "less").pvalue
    assert binomial.equivalent_to_chance(52, 100, 0.1) == pytest.approx(max(low, high))
    assert binomial.equivalent_to_chance(505, 1000, 0.1) < 1e-6
    assert binomial.equivalent_to_chance(80, 100, 0.1) > 0.99


def test_d_prime_of_two_alternatives():
    """76 % right is d' = 1 (Macmillan and Creelman 2005, table A5.2)."""
    assert afc_share(1.0) == pytest.approx(0.76, abs=0.001)
    assert d_prime(0.76, "human") == pytest.approx(1.0, abs=0.01)
    assert d_prime(0.5, "human") == 0
    assert d_prime(0.24, "human") == pytest.approx(-d_prime(0.76, "human"))
    assert d_prime(1.0, "abx") == math.inf


@pytest.mark.parametrize("d", [0.5, 1.0, 2.0, 3.0])
def test_the_abx_model_is_that_of_a_listener_who_compares_differences(d):
    """Against 400,000 simulated trials: choose A where X is nearer to A."""
    rng = np.random.default_rng(1)
    a, b, x = rng.normal(size=(3, 400_000))
    is_a = rng.random(400_000) < 0.5
    b, x = b + d, np.where(is_a, x, x + d)
    right = (np.abs(x - a) < np.abs(x - b)) == is_a
    assert abx_share(d) == pytest.approx(right.mean(), abs=0.0025)
    assert d_prime(abx_share(d), "abx") == pytest.approx(d)


def test_the_mixed_model_is_that_of_lme4_on_its_own_example():
    """glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), binomial, cbpp)."""
    with (FIXTURES / "cbpp.csv").open() as file:
        rows = [
            (row["herd"], int(row["period"]), right)
            for row in csv.DictReader(file)
            for right in [1] * int(row["incidence"])
            + [0] * (int(row["size"]) - int(row["incidence"]))
        ]
    herd, period, right = (list(column) for column in zip(*rows, strict=True))
    fixed = np.array([[1.0, *(float(p == other) for other in (2, 3, 4))] for p in period])
    beta, errors, sds = mixed._fitted(fixed, right, {"herd": herd}, None)
    assert beta == pytest.approx([-1.398343, -0.991925, -1.128216, -1.579745], abs=2e-3)
    assert errors == pytest.approx([0.2312140, 0.3031506, 0.3228302, 0.4220492], rel=0.02)
    assert sds["herd"] == pytest.approx(0.64207, abs=2e-3)


CROSSED = (  # 14 listeners × 10 items, drawn and fitted with R 4.2 and lme4 1.1-31
    "10110111111111111011111101111011111011111110111111011111100110111111101011111111111111010010"
    "111111101010111111001011111011111110001100100111"
)


def test_crossed_listeners_and_items_are_those_of_lme4():
    """glmer(y ~ 1 + (1|l) + (1|i)): 1.533626 ± 0.4035898, standard deviations 0.94911, 0.50274."""
    right = [int(letter) for letter in CROSSED]
    listeners = [n % 14 for n in range(140)]
    items = [n // 14 for n in range(140)]
    found = mixed.fit(right, {"listener": listeners, "item": items})
    assert found.logit == pytest.approx(1.533626, abs=2e-3)
    assert found.error == pytest.approx(0.4035898, abs=4e-3)
    assert found.sds == pytest.approx({"listener": 0.94911, "item": 0.50274}, abs=3e-3)
    assert found.low < found.share < found.high


def test_a_mixed_model_without_spread_is_the_pooled_share():
    right = [1, 1, 1, 0] * 20
    found = mixed.fit(right, {"listener": [n // 4 for n in range(80)]})
    assert found.share == pytest.approx(0.75, abs=0.005)
    assert found.sds["listener"] < 0.05
    with pytest.raises(mixed.Unfit, match="equal"):
        mixed.fit([1, 1, 1], {"listener": [1, 2, 3]})
    with pytest.raises(mixed.Unfit, match="one listener"):
        mixed.fit([1, 0, 1], {"listener": [1, 1, 1]})


@pytest.mark.parametrize(
    ("right", "listeners"),
    [
        ([1] * 50 + [0] * 50, [n // 10 for n in range(100)]),  # two camps
        ([0] + [1] * 159, [n // 16 for n in range(160)]),
        ([n % 2 for n in range(100)], [n // 10 for n in range(100)]),  # two kinds of items
    ],
)
def test_separated_answers_have_no_mixed_model(right, listeners):
    """Newton's steps must not diverge: camps of equal size had odds of 16 to 1 and p of 0."""
    items = [n % 10 for n in range(len(right))]
    with pytest.raises(mixed.Unfit, match=r"no finite spread between (listener|item)s"):
        mixed.fit(right, {"listener": listeners, "item": items})


def test_the_mode_of_large_spreads_is_found():
    """The mode of the density in Laplace's method, against a general optimizer."""
    y, effects = np.array([1.0] * 50 + [0.0] * 50), np.eye(10)[[n // 10 for n in range(100)]]
    fixed, random = np.full(100, 5.0), 3.4 * effects

    def loss(u):
        eta = fixed + random @ u
        return -float(np.sum(y * eta - np.logaddexp(0, eta)) - 0.5 * u @ u)

    mean = 1 / (1 + np.exp(-fixed - random @ minimize(loss, np.zeros(10), tol=1e-12).x))
    hessian = (random.T * (mean * (1 - mean))) @ random + np.eye(10)
    expected = -minimize(loss, np.zeros(10), tol=1e-12).fun - np.linalg.slogdet(hessian)[1] / 2
    assert mixed._laplace(y, fixed, random) == pytest.approx(expected, abs=1e-4)


CITED = {  # Stigler 1994, in the vignette of R's BradleyTerry2: row cites column
    "Biometrika": (714, 33, 320, 284),
    "CommStat": (730, 425, 813, 276),
    "JASA": (498, 68, 1072, 325),
    "JRSSB": (221, 17, 142, 188),
}


def citations():
    names = list(CITED)
    return [
        (names[i], names[j], names[j])  # being cited wins
        for i, row in enumerate(CITED.values())
        for j, count in enumerate(row)
        if i != j
        for _ in range(count)
    ]


@pytest.mark.long
def test_strengths_are_those_of_bradleyterry2():
    """-2.94907, -0.47957 and 0.26895 beside Biometrika (Turner and Firth 2012)."""
    found = preference.strengths_of(citations(), list(CITED)).log_strengths
    beside = {name: value - found["Biometrika"] for name, value in found.items()}
    expected = {"Biometrika": 0, "CommStat": -2.94907, "JASA": -0.47957, "JRSSB": 0.26895}
    assert beside == pytest.approx(expected, abs=1e-4)


def test_strengths_are_those_of_choix():
    names = ["a", "b", "c", "d"]
    rng = np.random.default_rng(3)
    truth = {"a": 0.0, "b": 0.5, "c": 1.0, "d": -0.5}
    choices = []
    for _ in range(300):
        i, j = rng.choice(4, 2, replace=False)
        first, second = names[i], names[j]
        p = 1 / (1 + math.exp(truth[second] - truth[first]))
        choices.append((first, second, first if rng.random() < p else second))
    won = [
        (names.index(chosen), names.index(second if chosen == first else first))
        for first, second, chosen in choices
    ]
    found = preference.strengths_of(choices, names)
    expected = choix.ilsr_pairwise(4, won)
    assert list(found.log_strengths.values()) == pytest.approx(list(expected), abs=1e-5)
    assert found.nu == 0


def test_ties_are_those_of_davidsons_likelihood():
    """Against direct maximization of Davidson's (1970) likelihood."""
    names = ["a", "b", "c"]
    counts = {("a", "b"): (9, 4, 5), ("a", "c"): (12, 3, 2), ("b", "c"): (8, 6, 4)}
    choices = [
        (first, second, chosen)
        for (first, second), (wins, losses, ties) in counts.items()
        for chosen in [first] * wins + [second] * losses + ["tie"] * ties
    ]

    def loss(parameters):
        strength, nu = dict(zip(names, [0, *parameters[:2]], strict=True)), parameters[2]
        total = 0.0
        for (first, second), observed in counts.items():
            a, b = strength[first], strength[second]
            logs = np.array([a, b, nu + (a + b) / 2])
            total -= np.dot(observed, logs - np.logaddexp.reduce(logs))
        return total

    best = minimize(loss, np.zeros(3), tol=1e-12).x
    found = preference.strengths_of(choices, names)
    beside = [found.log_strengths[name] - found.log_strengths["a"] for name in names]
    assert beside == pytest.approx([0, *best[:2]], abs=1e-4)
    assert math.log(found.nu) == pytest.approx(best[2], abs=1e-4)


def test_whoever_never_lost_has_no_finite_strength():
    choices = [("a", "b", "a"), ("b", "c", "c"), ("b", "c", "b"), ("a", "c", "a")]
    with pytest.raises(preference.NoEstimate, match="a never lost"):
        preference.strengths_of(choices, ["a", "b", "c"])


def test_ties_make_no_strength_finite():
    """The loser of all but ties: Davidson's likelihood grows with the distance and the ties."""
    level = [("a", "b", "tie")] * 3
    for choices in (level, [*level, ("a", "b", "a")]):
        with pytest.raises(preference.NoEstimate, match="all wins fit one order"):
            preference.strengths_of(choices, ["a", "b"])
    assert preference.strengths_of([*level, ("a", "b", "a"), ("a", "b", "b")], ["a", "b"]).nu > 0
    chain = [("a", "b", "a"), ("b", "c", "b")]
    with pytest.raises(preference.NoEstimate, match="a, b never lost"):
        preference.strengths_of([*chain, *level], ["a", "b", "c"])
    found = preference.strengths_of([*chain, ("a", "c", "tie")], ["a", "b", "c"])
    assert max(map(abs, found.log_strengths.values())) < 5  # c beside a contradicts the order


@pytest.mark.long
def test_listeners_are_resampled_not_answers():
    """Two camps that agree within: answers would be certain, listeners are not."""
    camps = {
        n: [("a", "b", "a" if n < 6 else "b")] * 20 + [("a", "b", "b" if n < 6 else "a")]
        for n in range(10)
    }
    found = preference.ranking(camps, ["a", "b"], seed=1, resamples=200)
    assert found.low["a"] < 0 < found.high["a"]
    assert found.differences["a", "b"] > 0.2
    again = preference.ranking(camps, ["a", "b"], seed=1, resamples=200)
    assert again == found


ROUNDING = [  # Hollander and Wolfe (1973), p. 140, as in R's ?friedman.test
    (5.40, 5.50, 5.55),
    (5.85, 5.70, 5.75),
    (5.20, 5.60, 5.50),
    (5.55, 5.50, 5.40),
    (5.90, 5.85, 5.70),
    (5.45, 5.55, 5.60),
    (5.40, 5.40, 5.35),
    (5.45, 5.50, 5.35),
    (5.25, 5.15, 5.00),
    (5.85, 5.80, 5.70),
    (5.25, 5.20, 5.10),
    (5.65, 5.55, 5.45),
    (5.60, 5.35, 5.45),
    (5.05, 5.00, 4.95),
    (5.50, 5.50, 5.40),
    (5.45, 5.55, 5.50),
    (5.55, 5.55, 5.35),
    (5.45, 5.50, 5.55),
    (5.50, 5.45, 5.25),
    (5.65, 5.60, 5.40),
    (5.70, 5.65, 5.55),
    (6.30, 6.30, 6.25),
]


def test_one_listener_has_no_interval():
    """All resamples of one listener are alike: the interval would be a point, and p small."""
    one = {1: [("a", "b", "a")] * 3 + [("a", "b", "b")]}
    found = preference.ranking(one, ["a", "b"], seed=1, resamples=50)
    assert found.strengths.log_strengths["a"] == pytest.approx(math.log(3) / 2)
    assert all(
        math.isnan(x) for x in (found.low["a"], found.high["a"], *found.differences.values())
    )
    means = ratings.means(pd.DataFrame({"a": [3.0], "b": [2.0]}), seed=1, resamples=50)
    assert means.mean == {"a": 3.0, "b": 2.0}
    assert all(math.isnan(x) for x in (*means.low.values(), *means.high.values()))


def test_equal_differences_of_means_stay_ties():
    """7/3 - 4/3 and 5/3 - 2/3 are both 1, but not as floating-point numbers."""
    first = np.array([7, 5, 4, 8, 7, 5, 9]) / 3
    second = np.array([4, 2, 7, 6, 5, 3, 5]) / 3
    exact = wilcoxon([3, 3, -3, 2, 2, 2, 4]).pvalue
    assert ratings.signed_rank(first - second) == pytest.approx(exact)
    assert math.isnan(ratings.equivalence((first - second)[:2], 0.5))
    assert math.isnan(ratings.signed_rank([]))


def test_friedman_is_that_of_hollander_and_wolfe():
    statistic, p = ratings.friedman(pd.DataFrame(ROUNDING))
    assert statistic == pytest.approx(11.143, abs=5e-4)
    assert p == pytest.approx(0.003805, abs=5e-7)
    assert all(math.isnan(x) for x in ratings.friedman(pd.DataFrame(ROUNDING)[[0, 1]]))


def test_wilcoxon_is_that_of_hollander_and_wolfe():
    """Depression scores (p. 29), as in R's ?wilcox.test: one-sided p = 0.01953."""
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    assert ratings.signed_rank(before - after, alternative="greater") == pytest.approx(
        0.01953, abs=5e-6
    )
    assert ratings.signed_rank(np.zeros(5)) == 1


@pytest.mark.long
def test_holm_is_that_of_rs_p_adjust():
    """p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm"): 0.05, 0.08, 0.09, 0.09, 0.09."""
    assert ratings.holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx(
        [0.05, 0.08, 0.09, 0.09, 0.09]
    )
    assert ratings.holm([0.01, math.nan])[0] == pytest.approx(0.01)
    assert ratings.holm([]) == []


def test_equivalence_of_ratings_is_two_one_sided_t_tests():
    difference = np.random.default_rng(2).normal(0.1, 1.0, 40)
    low = ttest_1samp(difference, -0.5, alternative="greater").pvalue
    high = ttest_1samp(difference, 0.5, alternative="less").pvalue
    assert ratings.equivalence(difference, 0.5) == pytest.approx(max(low, high))
    assert math.isnan(ratings.equivalence([1.0], 0.5))


@pytest.mark.long
def test_pairs_of_ratings_have_a_row_for_each_pair():
    frame = pd.DataFrame(
        {
            "listener": np.repeat(range(12), 3),
            "system": ["a", "b", "c"] * 12,
            "answer": [value for n in range(12) for value in (1 + n % 2, 3 + n % 2, 3)],
        }
    )
    table = ratings.table_of(frame)
    found = {(pair.first, pair.second): pair for pair in ratings.pairs(table, 0.5)}
    assert found["a", "b"].difference == -2
    assert found["a", "b"].p <= found["a", "b"].holm < 0.01
    means = ratings.means(table, seed=1, resamples=200)
    assert means.low["a"] <= means.mean["a"] == 1.5 <= means.high["a"]


def test_equal_strengths_are_drawn_side_by_side():
    near = {"value": 7e-17, "low": None, "high": None}
    far = {"value": -7e-17, "low": None, "high": None}
    drawn = chart([{"system": "x", **near}, {"system": "y", **far}], 0)
    assert {round(row["value"]) for row in drawn["rows"]} == {round(drawn["guide"])}
    assert [round(value, 3) for _, value in drawn["ends"]] == [-0.5, 0.5]
