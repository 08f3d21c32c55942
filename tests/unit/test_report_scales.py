"""Axes and numbers of the report."""

import math

import pytest

from ostinato.report.scales import Scale, number


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[1.0], [4.9, 92.0], [0.21, 0.24], [1e-3, 5e4], [3.0, 3.0]])
def test_axes_hold_their_values_and_have_ticks(values, log):
    scale = Scale.around(values, 0, 100, log=log)
    places = [scale(value) for value in values]
    assert all(0 < place < 100 for place in places) or not log
    assert places == sorted(places)
    ticks = scale.ticks(5)
    assert 1 <= len(ticks) <= 9
    assert all(scale.low <= tick * 1.0000001 and tick <= scale.high * 1.0000001 for tick in ticks)


def test_numbers_are_short_and_say_when_there_is_none():
    shown = [number(x) for x in (5.1234, 48.0, 0.04567, 123456.0, -1.5, 0.0, math.nan)]
    assert shown == ["5.123", "48.00", "0.046", "123456", "−1.500", "0", "–"]
