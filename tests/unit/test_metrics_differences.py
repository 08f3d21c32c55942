"""Differences are paired where they can be; they find what is there, and seldom what is not."""

import math

import numpy as np
import pytest

from ostinato.metrics.differences import Column, difference, holm


def column(values, groups=None, weights=None, name="piece"):
    values = np.asarray(values, dtype=float)
    pieces = np.array([f"{name} {n}" for n in range(len(values))])
    groups = pieces if groups is None else np.array([f"group {g}" for g in groups])
    return Column(pieces, groups, values, np.ones(len(values)) if weights is None else weights)


def test_a_small_difference_on_the_same_pieces_is_found_and_on_others_is_not():
    generator = np.random.default_rng(0)
    hard = generator.normal(0, 1, 40)
    a, b = hard + 0.1, hard + 0.02 * generator.normal(0, 1, 40)
    same = difference(column(a), column(b), seed=1, resamples=500)
    assert same.is_paired
    assert same.interval.low < 0.1 < same.interval.high
    assert same.interval.low > 0.05
    assert same.p < 0.01
    others = difference(column(a), column(b, name="other"), seed=1, resamples=500)
    assert not others.is_paired
    assert others.interval.value == pytest.approx(same.interval.value)
    assert others.interval.low < 0 < others.interval.high
    assert others.p > 0.2


def test_a_difference_weighs_pieces_by_what_they_are_divided_by():
    weights = np.array([1.0, 3.0])
    found = difference(
        column([2, 4], weights=weights), column([1, 1], weights=weights), seed=1, resamples=50
    )
    assert found.interval.value == pytest.approx((1 * 1 + 3 * 3) / 4)
    gaps = difference(column([2, 4, math.nan]), column([1, 1, 5]), seed=1, resamples=50)
    assert gaps.interval.value == 2.0


def test_p_is_small_as_often_as_it_says_where_nothing_is_there():
    generator = np.random.default_rng(0)
    found = [
        difference(
            column(generator.normal(0, 1, 30)), column(np.zeros(30)), seed=n, resamples=200
        ).p
        for n in range(400)
    ]
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.09


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    found = holm([0.5, math.nan, 0.9])
    assert found[0] == 1.0
    assert math.isnan(found[1])
    assert holm([]) == []
