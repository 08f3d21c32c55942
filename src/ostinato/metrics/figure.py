"""A number of a measure and what stands beside it, as evaluations write it and reports read it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ostinato.metrics.bootstrap import Interval, plain_number

Direction = Literal["lower", "higher", "corpus"]
ROWS = ("beside", "trivial")


@dataclass(frozen=True)
class Figure:
    """One number of a measure.

    Args:
        value: NaN where it is undefined; `low` and `high` are its 95 % interval, NaN where it has
            none.
        direction: which values are better; "corpus": those near `reference`.
        reference: the same figure of held-out music (or of what `reference_name` says).
        floor: what as many pieces of real music as there are samples would get.
        label: words for the report; without, the figure's name.
        beside: further rows to compare with, such as baselines, by name.
        trivial: what samples get that were made without a model, by their kind.
        is_headline: it is shown in the overview. Two or three of a measure.
        is_bound: the true value is at most this.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    direction: Direction = "corpus"
    reference: Interval | None = None
    floor: Interval | None = None
    label: str = ""
    note: str = ""
    beside: Mapping[str, Interval] = field(default_factory=dict)
    trivial: Mapping[str, Interval] = field(default_factory=dict)
    is_headline: bool = False
    is_bound: bool = False

    @classmethod
    def of(cls, interval: Interval, **texts: Any) -> "Figure":
        """The figure with the value and the bounds of an interval."""
        return cls(interval.value, interval.low, interval.high, **texts)

    @classmethod
    def read(cls, name: str, found: Mapping[str, Any]) -> "Figure":
        """The figure of this name that `plain` wrote; without a label it has its name."""
        sets = {key: read_interval(found[key]) for key in ("reference", "floor") if key in found}
        numbers = ("value", "low", "high", "label", *ROWS)
        others = {k: v for k, v in found.items() if k not in (*numbers, *sets)}
        return cls.of(
            read_interval(found),
            label=found.get("label") or name,
            **sets,
            **{
                part: {key: read_interval(row) for key, row in found.get(part, {}).items()}
                for part in ROWS
            },
            **others,
        )

    @property
    def interval(self) -> Interval:
        """Its value and bounds."""
        return Interval(self.value, self.low, self.high)

    @property
    def best_beside(self) -> tuple[str, Interval] | None:
        """The strongest of the further rows; None where there is none, or no better or worse."""
        if not self.beside or self.direction == "corpus":
            return None
        sign = 1 if self.direction == "lower" else -1
        return min(self.beside.items(), key=lambda row: sign * row[1].value)

    def is_apart(self, interval: Interval) -> bool:
        """Whether an interval lies outside that of real music, on the worse side of it: of the
        floor or, where there is none, of the reference. Without a worse side, on either.
        """
        real = self.floor or self.reference
        if real is None:
            return False
        above, below = interval.low > real.high, interval.high < real.low
        worse = {"lower": above, "higher": below, "corpus": above or below}
        return worse[self.direction]

    def __str__(self) -> str:
        """Value, interval and unit in one line."""
        bound = "at most " if self.is_bound else ""
        interval = f" [{self.low:.4g}, {self.high:.4g}]" if math.isfinite(self.low) else ""
        beside = [("reference", self.reference), ("floor", self.floor), *self.beside.items()]
        words = [f"; {name} {i.value:.4g}" for name, i in beside if i and math.isfinite(i.value)]
        return f"{bound}{self.value:.4f}{interval} {self.unit}".rstrip() + "".join(words)

    def plain(self) -> dict[str, Any]:
        """As JSON-able data; what is not finite is None, what says nothing is left out."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        texts = {key: getattr(self, key) for key in ("unit", "direction", "label", "note")}
        flags = {key: True for key in ("is_headline", "is_bound") if getattr(self, key)}
        sets = {key: getattr(self, key) for key in ("reference", "floor")}
        rows = {
            part: {name: interval.plain() for name, interval in getattr(self, part).items()}
            for part in ROWS
        }
        return {
            **{key: plain_number(x) for key, x in numbers.items()},
            **{key: text for key, text in texts.items() if text},
            **flags,
            **{key: interval.plain() for key, interval in sets.items() if interval is not None},
            **{part: found for part, found in rows.items() if found},
        }


def read_interval(found: Mapping[str, Any]) -> Interval:
    """The value and bounds that `plain` wrote."""
    value, low, high = (read_number(found.get(key)) for key in ("value", "low", "high"))
    return Interval(value, low, high)


def read_number(value: Any) -> float:
    """The number; NaN for null in JSON and for an empty cell in CSV: not measured."""
    return math.nan if value in (None, "") else float(value)
