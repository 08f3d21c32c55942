"""Streaming histograms and rankings, whose size does not depend on the corpus."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Notes
from ostinato.report.corpus_data import TOP, Bin, Histogram, Ranking
from ostinato.report.corpus_names import pitch_name
from ostinato.report.scales import number

MOST_TICKS = 9


@dataclass(frozen=True)
class Axis:
    """Bins between `edges` with a label each, and ticks.

    Values beyond the edges count in the outermost bins. If there are too many ticks, every second
    (third …) is kept, including the one at index `anchor`.
    """

    edges: npt.NDArray[np.float64]
    ticks: tuple[tuple[float, str], ...]
    labels: tuple[str, ...]
    log: bool = False
    anchor: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def place(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The bin of each value."""
        found = np.searchsorted(self.edges, np.asarray(values, np.float64), side="right") - 1
        return np.clip(found, 0, len(self) - 1).astype(np.int64)

    def ticks_between(self, low: float, high: float) -> tuple[tuple[float, str], ...]:
        """Ticks in [low, high], at most MOST_TICKS."""
        inside = [i for i, (place, _) in enumerate(self.ticks) if low <= place <= high]
        every = -(-len(inside) // MOST_TICKS) or 1
        return tuple(self.ticks[i] for i in inside if (i - self.anchor) % every == 0)


def octaves(
    low: int, high: int, bins: int, ticks: Sequence[tuple[float, str]] | None = None
) -> Axis:
    """Logarithmic axis from 2**low to 2**high with `bins` bins per octave, centred on their values;
    `ticks` replaces the powers of two.
    """
    steps = np.arange(low * bins, high * bins + 2)
    edges = 2.0 ** ((steps - 0.5) / bins)
    powers = range(low, high + 1)
    marks = tuple(ticks or ((2.0**k, f"1/{2**-k}" if k < 0 else str(2**k)) for k in powers))
    anchor = next((i for i, (place, _) in enumerate(marks) if place == (60 if ticks else 1)), 0)
    labels = [f"{number(a)} to {number(b)}" for a, b in pairwise(edges.tolist())]
    return Axis(edges, marks, tuple(labels), log=True, anchor=anchor)


def whole_numbers(first: int, last: int, width: int, ticks: Sequence[int]) -> Axis:
    """Bins of `width` whole numbers from `first` to `last`."""
    starts = range(first, last + 1, width)
    edges = np.array([*starts, starts[-1] + width], np.float64) - 0.5
    labels = [str(x) if width == 1 else f"{x} to {x + width - 1}" for x in starts]
    return Axis(edges, tuple((float(x), str(x)) for x in ticks), tuple(labels))


def pitches() -> Axis:
    """One bin per MIDI pitch, with a tick at every C."""
    marks = tuple((float(x), pitch_name(x)) for x in range(0, 128, 12))
    labels = tuple(f"{pitch_name(x)} ({x})" for x in range(128))
    return Axis(np.arange(129, dtype=np.float64) - 0.5, marks, labels)


@dataclass
class Bins:
    """Counts of a histogram."""

    axis: Axis
    counts: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.axis))

    def add(self, values: npt.ArrayLike, amounts: npt.ArrayLike | None = None) -> None:
        """Count values, weighted by `amounts` if given."""
        weights = None if amounts is None else np.asarray(amounts, np.float64)
        places = self.axis.place(np.atleast_1d(values))
        self.counts += np.bincount(places, weights, minlength=len(self.axis))

    def done(self, title: str, unit: str, text: str = "") -> Histogram:
        """The histogram, without the empty bins at its ends."""
        axis, used = self.axis, np.flatnonzero(self.counts)
        span = range(int(used[0]), int(used[-1]) + 1) if len(used) else range(0)
        edges, counts = axis.edges.tolist(), self.counts.tolist()
        bins = tuple(Bin(edges[i], edges[i + 1], counts[i], axis.labels[i]) for i in span)
        ticks = axis.ticks_between(bins[0].low, bins[-1].high) if bins else ()
        return Histogram(title, unit, text, bins, ticks, axis.log)


def ranking(title: str, unit: str, counts: Counter[str], text: str = "", top: int = TOP) -> Ranking:
    """The most frequent names; ties in alphabetical order."""
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    rest = rows[top:]
    return Ranking(title, unit, text, tuple(rows[:top]), (len(rest), sum(n for _, n in rest)))


def sounding(notes: Notes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Number of notes that sound, and for how many ticks, from the start to the last note's end."""
    ends = notes["onset"] + notes["duration"]
    times = np.concatenate([[0], notes["onset"], ends]).astype(np.int64)
    steps = np.concatenate([[0], np.ones(len(notes)), -np.ones(len(notes))]).astype(np.int64)
    order = np.argsort(times, kind="stable")
    return np.cumsum(steps[order])[:-1], np.diff(times[order])


def longest(changes: Sequence[Any], length: int) -> Any | None:
    """The tempo, meter or key that is in force for most ticks; None if there are no changes.

    Values are compared without their onset; the earlier one wins a tie.
    """
    if not changes:
        return None
    ends = [*(change.onset for change in changes[1:]), max(length, changes[-1].onset)]
    ticks: dict[tuple[Any, ...], int] = {}
    first: dict[tuple[Any, ...], Any] = {}
    for change, end in zip(changes, ends, strict=True):
        value = tuple(item for name, item in vars(change).items() if name != "onset")
        first.setdefault(value, change)
        ticks[value] = ticks.get(value, 0) + max(end - change.onset, 0)
    return first[max(ticks, key=lambda value: ticks[value])]
