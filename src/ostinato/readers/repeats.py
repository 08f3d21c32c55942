"""Which bars of a printed page are played, and in what order."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RepeatedBar:
    """A bar and its signs: a repeat begins before it, ends after it (`times` passes in all), and
    the passes of the ending it lies in, if any.
    """

    opens: bool = False
    times: int = 1
    endings: tuple[int, ...] = ()


def last_endings(endings: Sequence[int]) -> list[int]:
    """Numbers of the bars that remain where of several endings only the last one is played.

    endings: for every bar the number of the ending it lies in, 0 where it lies in none.
    """
    kept: list[int] = []
    current = following = 0
    for number in range(len(endings) - 1, -1, -1):
        if endings[number] != current:
            current, following = endings[number], current
        if not 0 < current < following:
            kept.append(number)
    return kept[::-1]


def played_out(bars: Sequence[RepeatedBar]) -> list[int]:
    """Numbers of the bars in the order in which they are played with all repeats."""
    order: list[int] = []
    number = start = 0
    turn = 1
    inside = False  # an ending
    while number < len(bars):
        bar = bars[number]
        if (bar.opens and number != start) or (inside and not bar.endings):
            start, turn = number, 1
        inside = bool(bar.endings)
        if bar.endings and turn not in bar.endings:
            number += 1
            continue
        order.append(number)
        if turn < bar.times:
            number, turn, inside = start, turn + 1, False
            continue
        if bar.times > 1 and not bar.endings:
            start, turn = number + 1, 1
        number += 1
    return order
