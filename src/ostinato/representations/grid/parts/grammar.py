"""The grammars of a grid: of cells alone, and of cells with a bar column before them."""

# B batch, V vocabulary, W columns

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ostinato.representations.grid.parts.bars import BarColumn, Ints
from ostinato.representations.protocol import NO_LIMIT, Extent, Index, Mask, Tokens, read_meter

REST = 0
FREE, FIRST, ENDED = 0, 1, 2  # voice cells: any symbol; no hold; rests only


class GridGrammar:
    """Counts cells; with a hold symbol, which is the last, only a sounding voice may hold."""

    def __init__(
        self, size: int, width: int, hold: bool, steps: int, bar: float, prompts: Sequence[Tokens]
    ) -> None:
        self.most = None if steps == NO_LIMIT else max([steps, *map(len, prompts)])
        self._lengths = np.array([len(prompt) for prompt in prompts])
        self._steps, self._width, self._bar = steps, width, bar
        self._cells = self._lengths * width
        self._sounds = np.zeros((len(prompts), width), dtype=np.int64)
        for number, prompt in enumerate(prompts):
            self._sounds[number] = prompt[-1] != REST if len(prompt) else 0
        self._table = np.ones((2, size), dtype=bool)  # by whether the voice sounds
        self._table[0, -1] = not hold
        self._hold = hold

    def allowed(self, column: int = 0) -> Mask | None:
        """Every symbol, but a hold only where the voice of this column sounds."""
        return self._table[self._sounds[:, column]] if self._hold else None

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Append one cell to the sequences in `moving_B`."""
        sounds = np.not_equal(tokens_B, REST)
        self._sounds[:, column] = np.where(moving_B, sounds, self._sounds[:, column])
        self._cells += moving_B

    def finished(self) -> Mask:
        """Which sequences have all their cells."""
        done: Mask = self._cells >= self._steps * self._width
        return done

    def ended(self) -> Mask:
        """None: there is no end symbol."""
        return np.zeros(len(self._cells), dtype=bool)

    def bars(self) -> Ints:
        """Complete bars of one meter."""
        return (self._cells // self._width / self._bar).astype(np.int64)

    def select(self, index: Index) -> None:
        """Keep these sequences."""
        self._cells, self._sounds = self._cells[index], self._sounds[index]


class BarGrammar:
    """Rows whose first column holds bar lines and the end; see parts/bars.py.

    Any row may begin a bar. With a limit no bar becomes longer than its meter says, and a sequence
    is cut where the last one is complete; without, all printed bars can be followed. The columns of
    a row come in any order.
    """

    _state: tuple[str, ...] = ("_steps", "_filled", "_sounds", "_row_sounds", "_ended", "_cut")
    _state += ("_full", "_meter", "_start", "_begun", "_number", "_pickup", "_cap")

    def __init__(
        self, size: int, width: int, hold: int, column: BarColumn, extent: Extent,
        prompts: Sequence[Tokens],
    ) -> None:  # fmt: skip
        self._column, self._extent, self._width = column, extent, width
        self._fixed = self._meter_of(extent)
        batch = len(prompts)
        self._steps: Ints = np.zeros(batch, dtype=np.int64)  # complete rows
        self._filled: Ints = np.zeros(batch, dtype=np.int64)  # columns of the current row
        self._sounds: Mask = np.zeros((batch, width - 1), dtype=bool)
        self._row_sounds: Mask = np.zeros(batch, dtype=bool)
        self._ended: Mask = np.zeros(batch, dtype=bool)
        self._cut: Mask = np.zeros(batch, dtype=bool)
        self._meter: Ints = np.full(batch, -1, dtype=np.int64)
        self._full = np.zeros(batch)  # steps in a whole bar
        self._start: Ints = np.zeros(batch, dtype=np.int64)  # of the current bar
        self._begun: Ints = np.zeros(batch, dtype=np.int64)  # of all bars of its number
        self._number: Ints = np.zeros(batch, dtype=np.int64)
        self._pickup: Ints = np.zeros(batch, dtype=np.int64)  # steps
        if not column.bars:
            self._full[:] = float(extent.bar_quarters()) * column.steps_per_quarter
        self._cap = self._caps(prompts)
        self.most = None if extent.bars is None else int(self._cap.max(initial=0)) + column.end
        self._make_tables(size, hold)
        for number, prompt in enumerate(prompts):
            self._absorb(number, prompt)
        self._check_limit()

    def allowed(self, column: int = 0) -> Mask | None:
        """What may come next, (B, V)."""
        if column == 0:
            return self._allowed_bars()
        case_B = np.where(self._sounds[:, column - 1], FREE, FIRST)
        return self._voices_CV[np.where(self._ended, ENDED, case_B)]

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Append one cell of a row to the sequences in `moving_B`."""
        if column == 0:
            inside = np.equal(tokens_B, self._column.inside)
            for row in np.flatnonzero(moving_B & ~inside).tolist():
                self._take_symbol(row, int(tokens_B[row]))
        else:
            sounds = np.not_equal(tokens_B, REST)
            self._sounds[moving_B, column - 1] = sounds[moving_B]
            self._row_sounds |= moving_B & sounds
        self._filled += moving_B
        complete = self._filled >= self._width
        if complete.any():
            self._filled[complete], self._row_sounds[complete] = 0, False
            self._steps += complete & ~self._ended
            self._check_limit()

    def finished(self) -> Mask:
        """Which sequences are complete: the row of the end, or the last bar of the limit."""
        done: Mask = (self._ended | self._cut) & (self._filled == 0)
        return done

    def ended(self) -> Mask:
        """Which sequences have an end symbol."""
        return self._ended

    def bars(self) -> Ints:
        """How many score bars are complete; at the end the last one is, however short."""
        begun = self._number
        if not self._column.bars:
            begun = np.ceil(self._steps / self._full).astype(np.int64)
        return np.where(self._ended, begun, self._complete())

    def select(self, index: Index) -> None:
        """Keep these sequences."""
        for name in self._state:
            setattr(self, name, getattr(self, name)[index])

    def _meter_of(self, extent: Extent) -> int | None:
        """The number of the meter that is asked for."""
        column = self._column
        if extent.pickup is not None and not column.bars:
            raise ValueError(f"pickup={extent.pickup} needs a grid with bars: true")
        if extent.meter is None or not column.bars:
            return None
        if read_meter(extent.meter) not in column.signatures:
            raise ValueError(f"meter={extent.meter} is none of {', '.join(column.meters)}")
        return column.signatures.index(read_meter(extent.meter))

    def _caps(self, prompts: Sequence[Tokens]) -> Ints:
        """Most rows that the bars of the limit and a pickup can have."""
        lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
        if self._extent.bars is None:
            return np.full(len(prompts), NO_LIMIT)
        if not self._column.bars:
            return np.maximum(lengths, int(self._extent.bars * self._full.max(initial=0)))
        chosen = self._column.full if self._fixed is None else self._column.full[[self._fixed]]
        return lengths + int(np.ceil((self._extent.bars + 1) * chosen.max()))

    def _make_tables(self, size: int, hold: int) -> None:
        """Voice cells by case; of the bar column, which symbols are bar lines of which meter."""
        self._voices_CV = np.zeros((3, size), dtype=bool)
        self._voices_CV[:2, : self._column.first] = True
        if hold >= 0:
            self._voices_CV[FIRST, hold] = False
        self._voices_CV[ENDED, REST] = True
        self._size = size

    def _allowed_bars(self) -> Mask:
        column, extent, rows = self._column, self._extent, np.arange(len(self._steps))
        mask_BV = np.zeros((len(rows), self._size), dtype=bool)
        mask_BV[:, column.inside] = True
        if column.end:
            enough = (self._complete() >= extent.least) | self._completed_by_pickup(extent.least)
            mask_BV[:, column.end_symbol] = enough & ~self._row_sounds
        if not column.bars:
            return mask_BV
        first = self._meter < 0
        elapsed = self._steps - self._start
        last = np.full(len(rows), False) if extent.bars is None else self._number >= extent.bars
        line = ~first & ~last & (elapsed > 0)
        if extent.pickup is not None:
            pickup = round(extent.pickup * column.steps_per_quarter)
            opening = (self._start == 0) & (self._number == 0)
            line &= ~opening | (elapsed == pickup)
            mask_BV[:, column.inside] &= ~(opening & (elapsed == pickup) & (pickup > 0))
        mask_BV[:, column.inside] &= ~first & ((elapsed < self._full) | (extent.bars is None))
        lines_BM = np.repeat((line | first)[:, None], len(column.meters), axis=1)
        if self._fixed is not None:
            lines_BM &= np.arange(len(column.meters)) == self._fixed
        if extent.pickup:
            lines_BM &= ~first[:, None] | (column.full > pickup)
        lines_BM[rows[~first], self._meter[~first]] = False
        mask_BV[:, column.line] = line
        mask_BV[:, column.line + 1 : column.line + 1 + len(column.meters)] = lines_BM
        return mask_BV

    def _complete(self) -> Ints:
        """Complete score bars; of a bar that a repeat sign splits, when all of it is there."""
        elapsed = self._steps - self._begun
        if not self._column.bars:
            return (self._steps / self._full).astype(np.int64)
        whole = (self._meter >= 0) & (elapsed >= self._full)
        return self._number - 1 + whole + ((self._number == 0) & ~whole)

    def _completed_by_pickup(self, least: int) -> Mask:
        """Whether the last of the least bars is as long as it must be after a pickup."""
        if not self._column.bars:
            return np.zeros(len(self._steps), dtype=bool)
        elapsed = self._steps - self._begun + self._pickup
        whole: Mask = (self._number >= least) & (self._number > 0) & (elapsed >= self._full)
        return whole

    def _check_limit(self) -> None:
        """Number the bars that have become longer than a split one can be; cut at the limit."""
        if self._column.bars:
            opened = (self._number == 0) & (self._meter >= 0) & (self._start == 0)
            self._number += opened & (self._steps - self._start >= self._full)
            beyond = (self._begun < self._start) & (self._steps - self._begun > self._full)
            self._number += beyond
            self._begun = np.where(beyond, self._start, self._begun)
        if self._extent.bars is not None:
            full = self._complete() >= self._extent.bars
            self._cut |= ~self._ended & (full | (self._steps >= self._cap))

    def _take_symbol(self, row: int, symbol: int) -> None:
        """A bar line or the end."""
        if symbol == self._column.end_symbol:
            self._ended[row] = True
            return
        number, step = symbol - self._column.line - 1, int(self._steps[row])
        before, first = self._full[row], self._meter[row] < 0
        if number >= 0 or first:
            self._meter[row] = max(number, 0)
            self._full[row] = self._column.full[self._meter[row]]
        elapsed = step - self._begun[row]
        if not first:
            split = self._number[row] > 0 and elapsed < before == self._full[row]
            if self._number[row] == 0:
                self._pickup[row] = elapsed
            if not split:
                self._number[row] += 1
                self._begun[row] = step
        self._start[row] = step

    def _absorb(self, row: int, prompt: Tokens) -> None:
        """Follow a prompt from bar line to bar line."""
        column = prompt[:, 0]
        for place in np.flatnonzero(column != self._column.inside).tolist():
            self._steps[row] = place
            self._check_limit()
            self._take_symbol(row, int(column[place]))
        self._steps[row] = len(prompt) - self._ended[row]
        self._sounds[row] = prompt[-1, 1:] != REST if len(prompt) else False
