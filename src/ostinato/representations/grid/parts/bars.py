"""The bar column of a grid: bar lines, meters and the end, one symbol in every row.

A row either lies inside a bar or begins one; a bar line names its meter where it differs from the
one before, and always in the first row. So bars may have any length: a pickup is a first bar
shorter than its meter, and a bar that a repeat sign splits is two short ones. The last row is the
end: its voices rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Annotation, Meter, Piece
from ostinato.music.timing import bar_numbers, bar_onsets, round_half_up
from ostinato.representations.protocol import Unencodable, read_meter

Ints = npt.NDArray[np.int64]
Cells = npt.NDArray[np.int32]
COMMON = (4, 4)  # the meter where none is written


@dataclass(frozen=True)
class BarColumn:
    """Symbols of the bar column: `first` is the number of the first one in the vocabulary.

    bars: whether there are bar lines. end: whether there is an end symbol. meters: all that a bar
    line can name.
    """

    first: int
    bars: bool
    end: bool
    meters: tuple[str, ...]
    steps_per_quarter: int

    def __post_init__(self) -> None:
        if self.bars and (not self.meters or len(set(self.meters)) != len(self.meters)):
            raise ValueError(f"meters={list(self.meters)} must name one or more, each once")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the symbols."""
        lines = ("bar", *(f"bar_{meter}" for meter in self.meters)) if self.bars else ()
        return ("inside", *lines, *(["end"] if self.end else []))

    @property
    def inside(self) -> int:
        """The symbol of a row that does not begin a bar."""
        return self.first

    @property
    def line(self) -> int:
        """The symbol of a bar line with the meter as before; those with a meter follow it."""
        return self.first + 1

    @property
    def end_symbol(self) -> int:
        """The symbol of the last row; -1 where there is none."""
        return self.first + len(self.names) - 1 if self.end else -1

    @cached_property
    def signatures(self) -> tuple[tuple[int, int], ...]:
        """Numerator and denominator of the meters."""
        return tuple(read_meter(meter) for meter in self.meters)

    @cached_property
    def full(self) -> npt.NDArray[np.float64]:
        """Steps in a whole bar of each meter."""
        return np.array([4 * n * self.steps_per_quarter / d for n, d in self.signatures])

    def structure(self, voices: int, *, flat: bool) -> dict[str, Any]:
        """See protocol.Structured."""
        symbols = range(self.first, self.first + len(self.names))
        lines = dict(zip(self.meters, symbols[2:], strict=False)) if self.bars else {}
        return {
            "voice_columns": [0] if flat else list(range(1, voices + 1)),
            "bar_column": 0,
            "structural": list(symbols),
            "inside": self.inside,
            "bar": self.line if self.bars else None,
            "meters": lines,
            "end": self.end_symbol if self.end else None,
        }

    def quantize(self, piece: Piece, length: int) -> tuple[tuple[int, ...], tuple[Meter, ...]]:
        """Bar lines on the nearest steps before `length`, and the meters that hold from them on.

        The first bar line is at 0. A meter that changes within a bar holds from the next bar line
        on; of several on one line the last one holds.

        Raises:
            Unencodable: a meter that is not in the list.
        """
        if not self.bars or not length:
            return (), (Meter(0, *COMMON),)
        printed = np.array(bar_onsets(piece), dtype=np.int64)
        steps = round_half_up(printed, self.steps_per_quarter, piece.ticks_per_quarter)
        lines = sorted({0, *steps[steps < length].tolist()})
        holds = {0: COMMON}
        for meter in self._written(piece):
            onset = np.array(meter.onset)
            step = int(round_half_up(onset, self.steps_per_quarter, piece.ticks_per_quarter))
            later = [line for line in lines if line >= step]
            if later:
                holds[later[0]] = (meter.numerator, meter.denominator)
        meters: list[Meter] = []
        for line in sorted(holds):
            if not meters or (meters[-1].numerator, meters[-1].denominator) != holds[line]:
                meters.append(Meter(line, *holds[line]))
        for meter in meters:
            self._number(meter, piece.id)
        return tuple(lines), tuple(meters)

    def _written(self, piece: Piece) -> list[Meter]:
        """The meters of a piece without those that stand for a short bar only.

        In MIDI a short bar has a signature of its own, such as 1/4 within 4/4. If that is not in
        the list, the meter before it holds on: the bar line after it keeps its place.
        """
        known: list[Meter] = []
        for meter in piece.meters:
            listed = (meter.numerator, meter.denominator) in self.signatures
            if listed or not known or meter.bar_quarters() >= known[-1].bar_quarters():
                known.append(meter)
        return known

    def write(self, quantized: Piece) -> Cells:
        """The symbols of all rows but the end, shape (T,)."""
        column = np.full(quantized.length, self.inside, dtype=np.int32)
        if self.bars and len(column):
            column[bar_onsets(quantized)] = self.line
            for meter in quantized.meters:
                column[meter.onset] = self.line + 1 + self._number(meter, quantized.id)
        return column

    def read(self, column: Cells, length: int) -> tuple[tuple[int, ...], tuple[Meter, ...]]:
        """Bar lines before `length` and meters of a column, as `quantize` gives them."""
        if not self.bars or not length:
            return (), (Meter(0, *COMMON),)
        lines, numbers = self.lines(column[:length])
        meters = [Meter(0, *COMMON)]
        for line, number in zip(lines, numbers, strict=True):
            meter = Meter(line, *self.signatures[number]) if number >= 0 else meters[-1]
            if replace(meter, onset=0) != replace(meters[-1], onset=0):
                meters = [*(m for m in meters if m.onset < line), meter]
        return tuple(sorted({0, *lines})), tuple(meters)

    def lines(self, column: Cells) -> tuple[list[int], list[int]]:
        """Rows with a bar line, and the number of the meter that each names, or -1."""
        rows = np.flatnonzero((column >= self.line) & (column != self.end_symbol))
        return rows.tolist(), (column[rows] - self.line - 1).tolist()

    def numbers(self, column: Cells) -> Ints:
        """The number of every row's score bar, shape (T,); see music.timing.bar_numbers."""
        length = len(column)
        if not self.bars:
            return 1 + np.arange(length) // (4 * self.steps_per_quarter)
        lines, named = self.lines(column)
        if not lines or lines[0]:
            lines, named = [0, *lines], [-1, *named]
        full, current = [], 4.0 * self.steps_per_quarter
        for number in named:
            current = float(self.full[number]) if number >= 0 else current
            full.append(current)
        counts = np.diff([*lines, length])
        return np.repeat(np.array(bar_numbers(lines, full, length)), counts)

    def _number(self, meter: Meter, piece: str) -> int:
        signature = (meter.numerator, meter.denominator)
        if signature not in self.signatures:
            raise Unencodable(
                "meter not in the vocabulary",
                f"{piece}: meter {meter.numerator}/{meter.denominator} is none of "
                f"{', '.join(self.meters)}",
            )
        return self.signatures.index(signature)


def annotations(lines: Sequence[int]) -> tuple[Annotation, ...]:
    """Bar lines as a piece holds them."""
    return tuple(Annotation(line, "bar") for line in lines)
