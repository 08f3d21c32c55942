"""Intervals: what they cover, what they ignore, and that a seed fixes them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.metrics.bootstrap import mean_interval, ratio_interval
from ostinato.metrics.compare import wasserstein_floor, wasserstein_interval

NUMBERS = st.lists(st.floats(-100, 100), min_size=1, max_size=20)


def test_the_interval_of_a_mean_has_the_width_of_the_normal_one():
    values = np.random.default_rng(0).normal(5, 2, 400)
    interval = mean_interval(values, seed=1, resamples=4000)
    half = 1.96 * values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    narrow = mean_interval(values, seed=1, resamples=4000, level=0.5)
    assert interval.low < narrow.low < narrow.high < interval.high


def test_ninety_percent_of_intervals_hold_the_truth():
    generator = np.random.default_rng(0)
    samples = generator.exponential(1.0, (300, 60))
    intervals = [mean_interval(x, seed=i, resamples=300, level=0.9) for i, x in enumerate(samples)]
    assert 0.83 < np.mean([x.low <= 1.0 <= x.high for x in intervals]) < 0.95


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.integers(0, 2**63))
def test_a_mean_lies_in_the_range_of_its_values_and_a_seed_repeats_it(values, seed):
    interval = mean_interval(values, seed=seed, resamples=50)
    assert interval == mean_interval(values, seed=seed, resamples=50)
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9
    assert interval.value == pytest.approx(np.mean(values))


@given(st.floats(-1e6, 1e6), st.integers(0, 5))
def test_one_piece_or_one_group_has_no_interval(value, missing):
    interval = mean_interval([value] + [math.nan] * missing, seed=3)
    assert interval.value == value
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert (interval.count, interval.ignored, interval.groups) == (1, missing, 1)
    assert math.isnan(mean_interval([1.0, 2.0], seed=3, groups=["a", "a"]).low)


@pytest.mark.long
def test_95_percent_of_1000_simulated_sets_of_groups_are_covered():
    """Twenty-six works of one to seven versions each, as in the test split of the chorales."""
    generator = np.random.default_rng(0)
    sizes = np.array([7, 6, 5, 4, *[2] * 9, *[1] * 13])
    groups = np.repeat(np.arange(26), sizes)
    works = generator.normal(0, 1, (1000, 26))[:, groups]
    values = works + 0.5 * generator.normal(0, 1, (1000, len(groups)))
    by_group, by_file = (
        np.array([[x.low, x.high] for x in found])
        for found in (
            [mean_interval(v, seed=i, resamples=400, groups=groups) for i, v in enumerate(values)],
            [mean_interval(v, seed=i, resamples=400) for i, v in enumerate(values)],
        )
    )
    covers = ((by_group[:, 0] <= 0) & (by_group[:, 1] >= 0)).mean()
    assert 0.93 <= covers <= 0.97
    assert ((by_file[:, 0] <= 0) & (by_file[:, 1] >= 0)).mean() < 0.85  # files are no groups


def test_groups_of_one_piece_are_pieces():
    values = np.random.default_rng(0).normal(0, 1, 20)
    names = [f"piece {n:02}" for n in range(20)]
    assert mean_interval(values, seed=1, groups=names) == mean_interval(values, seed=1)
    with pytest.raises(ValueError, match="one group for each piece"):
        mean_interval(values, seed=1, groups=names[1:])


def test_undefined_pieces_change_only_the_count_of_what_was_ignored():
    known = mean_interval([1.0, 2.0, 4.0], seed=5)
    with_gaps = mean_interval([1.0, math.nan, 2.0, 4.0, math.nan], seed=5)
    assert (with_gaps.value, with_gaps.low, with_gaps.high) == (known.value, known.low, known.high)
    assert (with_gaps.count, with_gaps.ignored) == (3, 2)


@pytest.mark.parametrize("values", [[], [math.nan, math.nan]])
def test_nothing_to_measure_is_nan_and_null_in_json(values):
    interval = mean_interval(values, seed=0)
    assert math.isnan(interval.value)
    text = json.dumps(interval.plain(), allow_nan=False)
    assert json.loads(text) == {
        "value": None,
        "low": None,
        "high": None,
        "count": 0,
        "ignored": len(values),
        "groups": 0,
    }


def test_a_ratio_weighs_pieces_by_their_length():
    nats, notes = np.array([10.0, 300.0]), np.array([10, 100])
    interval = ratio_interval(nats, notes, seed=2)
    assert interval.value == 310 / 110
    assert (interval.low, interval.high) == (1.0, 3.0)
    alone = ratio_interval([10.0, 100.0, 200.0], [10, 40, 60], groups=["a", "b", "b"], seed=2)
    assert (alone.value, alone.low, alone.high) == (interval.value, interval.low, interval.high)


def test_numerators_and_denominators_are_resampled_together():
    notes = np.random.default_rng(0).integers(10, 1000, 50)
    interval = ratio_interval(0.5 * notes, notes, seed=2)
    assert interval.low == pytest.approx(0.5)
    assert interval.high == pytest.approx(0.5)


def test_pieces_without_notes_do_not_divide_by_zero():
    interval = ratio_interval([0.0, 0.0, 6.0], [0, 0, 3], seed=0)
    assert (interval.value, interval.low, interval.high) == (2.0, 2.0, 2.0)
    assert math.isnan(ratio_interval([0.0], [0], seed=0).value)


def test_an_impossible_piece_leaves_an_infinite_mean():
    interval = ratio_interval([1.0, 2.0, math.inf], [1, 1, 1], seed=0)
    assert interval.value == interval.high == math.inf
    assert interval.plain()["value"] is None


def test_what_is_drawn_in_blocks_is_drawn_in_full(monkeypatch):
    values = np.random.default_rng(0).normal(0, 1, 100)
    whole = mean_interval(values, seed=1)
    monkeypatch.setattr("ostinato.metrics.bootstrap.BLOCK", 3 * 100)
    blocks = mean_interval(values, seed=1)
    assert (blocks.low, blocks.high) == pytest.approx((whole.low, whole.high), abs=0.05)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_interval([1.0], seed=0, level=95),
        lambda: mean_interval([1.0], seed=0, resamples=0),
        lambda: mean_interval([[1.0]], seed=0),
        lambda: ratio_interval([1.0], [1, 2], seed=0),
        lambda: ratio_interval([1.0], [-1], seed=0),
    ],
)
def test_contradictions_are_refused(call):
    with pytest.raises(ValueError):
        call()


def test_wasserstein_of_a_shifted_sample_is_the_shift():
    sample = np.random.default_rng(0).normal(0, 1, 60)
    interval = wasserstein_interval(sample, sample + 3, seed=0, resamples=200)
    assert interval.value == pytest.approx(3)
    assert 2 < interval.low < 3 < interval.high < 4
    assert interval == wasserstein_interval(sample, sample + 3, seed=0, resamples=200)


@given(NUMBERS, NUMBERS)
def test_wasserstein_is_symmetric_and_its_interval_includes_it(ours, theirs):
    interval = wasserstein_interval(ours, theirs, seed=0, resamples=5)
    if min(len(ours), len(theirs)) == 1:  # one group has no interval
        assert math.isnan(interval.low)
    else:
        assert 0 <= interval.low <= interval.value + 1e-9
        assert interval.value <= interval.high + 1e-9  # rounding, at the smallest numbers
    assert wasserstein_interval(theirs, ours, seed=0, resamples=5).value == pytest.approx(
        interval.value
    )
    assert wasserstein_interval(ours, ours, seed=0, resamples=5).value == 0


def test_the_floor_is_what_as_many_real_pieces_get_and_grows_as_they_get_fewer():
    from scipy.stats import wasserstein_distance

    generator = np.random.default_rng(0)
    real, theirs = generator.normal(0, 1, 300), generator.normal(0, 1, 90)
    few, many = (wasserstein_floor(real, theirs, n, seed=1, resamples=300) for n in (16, 200))
    assert 0 < many.low < many.value < few.value < few.high
    draws = [
        wasserstein_distance(generator.choice(real, 16, replace=False), theirs) for _ in range(300)
    ]
    assert few.value == pytest.approx(np.median(draws), rel=0.1)
    assert math.isnan(wasserstein_floor(real, [], 16, seed=1).value)
    more = wasserstein_floor(real[:10], theirs, 30, seed=1, resamples=50)  # with replacement
    assert more.value > 0


def test_versions_of_one_work_widen_the_interval_of_a_distance():
    generator = np.random.default_rng(0)
    works = np.repeat(np.arange(10), 8)
    theirs = generator.normal(0, 1, 10)[works]
    ours = generator.normal(0, 1, 80)
    apart = wasserstein_interval(ours, theirs, seed=0, resamples=300)
    together = wasserstein_interval(
        ours, theirs, seed=0, resamples=300, groups=(np.arange(80), works)
    )
    assert together.value == apart.value
    assert together.high - together.low > 1.3 * (apart.high - apart.low)
    assert together.groups == 90


def test_wasserstein_leaves_undefined_values_out():
    gaps = wasserstein_interval([0.0, math.nan], [1.0, math.nan, math.nan], seed=0, resamples=5)
    assert (gaps.value, gaps.count, gaps.ignored) == (1.0, 2, 3)
    assert math.isnan(gaps.low)  # one group has no interval
    assert math.isnan(gaps.high)
    empty = wasserstein_interval([math.nan], [1.0], seed=0)
    assert math.isnan(empty.value)
    assert (empty.count, empty.ignored) == (1, 1)
