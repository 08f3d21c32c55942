"""Axes of charts: from values to coordinates, ticks at round numbers, numbers as text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOG_STEPS = ((1, 10), (1, 3, 10), (1, 2, 5, 10), (1, 1.5, 2, 3, 4, 5, 7, 10))
PADDING = 0.04


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to [start, end], linearly or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"an axis cannot run from {self.low} to {self.high}; use Scale.around")

    @classmethod
    def around(
        cls, values: Sequence[float], start: float, end: float, *, log: bool = False
    ) -> "Scale":
        """An axis over all values with padding on both sides."""
        low, high = min(values), max(values)
        if log:
            room = max((high / low) ** PADDING, 1.02)
            return cls(low / room, high * room, start, end, log=True)
        room = (high - low) * PADDING or max(abs(high) * 0.1, 0.5)
        # do not extend non-negative values below zero
        bottom = max(low - room, 0.0) if low >= 0 else low - room
        return cls(bottom, high + room, start, end)

    def __call__(self, value: float) -> float:
        """Coordinate of a value, clipped to the axis."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round numbers on the axis, about `most` of them."""
        if self.log and self.high / self.low > 2:
            return self._log_ticks(most)
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]

    def _log_ticks(self, most: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        choices = [
            [
                round(step * 10.0**decade, 12)
                for decade in decades
                for step in steps[:-1]
                if self.low <= step * 10.0**decade <= self.high
            ]
            for steps in LOG_STEPS
        ]
        return next((c for c in reversed(choices) if len(c) <= most + 2), choices[0])


def number(value: float, *, tick: bool = False) -> str:
    """About four significant digits (ticks: as few as needed); a dash for NaN and infinity."""
    if not math.isfinite(value):
        return "–"
    if tick:
        short = (value / 1e6, "M") if abs(value) >= 1e6 else (value / 1000, "k")
        text = f"{value:.6g}" if abs(value) < 10000 else f"{short[0]:g}{short[1]}"
    elif value == 0:
        text = "0"
    elif abs(value) < 0.01:
        text = f"{value:.2g}"
    else:
        digits = 3 - math.floor(math.log10(abs(value)))
        text = f"{value:.{min(max(digits, 0), 3)}f}"
    return text.replace("-", "−")
