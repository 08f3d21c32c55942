"""Voices on a grid: one row for each step (a sixteenth), one column for each voice.

The form of the JSB Chorales benchmark (Huang et al. 2018, after Boulanger-Lewandowski 2012): a cell
holds the pitch that sounds or a rest. A repeated note looks like a held one, unless `hold` adds a
symbol for "goes on". `bars` and `end` add a column before the voices, see parts/bars.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import VOICES, Meter, Notes, Piece, Tempo, make_notes
from ostinato.representations.grid.parts.bars import BarColumn, annotations
from ostinato.representations.grid.parts.grammar import REST, BarGrammar, GridGrammar
from ostinato.representations.protocol import Extent, Mask, Quantized, Tokens
from ostinato.representations.voice_lines import (
    DRUMS,
    check_notes,
    one_line,
    options_from,
    rebuild,
    settings_of,
    to_steps,
    voice_notes,
    voice_tracks,
)

# left out of a codec where they are so: grids of cells alone keep the codec they always had
LATER: dict[str, Any] = {"bars": False, "end": False, "meters": ()}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Options of the grid; a cell is 0 for a rest, 1.. for pitches from `lowest`, then a hold.

    hold: whether a cell that only continues a note has a symbol of its own.
    bars: whether bar lines and meters are kept; else every piece is in 4/4 from its first note on.
    end: whether a last row ends the piece.
    meters: all that can be written; a piece in another one is refused. Only with `bars`.
    qpm, program, velocity: how decoded music is played; nothing in the tokens says so.
    """

    voices: tuple[str, ...] = VOICES
    steps_per_quarter: int = 4
    lowest: int = 36
    highest: int = 81
    hold: bool = False
    bars: bool = False
    end: bool = False
    meters: tuple[str, ...] = ()
    qpm: float = 84.0
    program: int = 19
    velocity: int = 80

    def __post_init__(self) -> None:
        if not 0 <= self.lowest < self.highest <= 127:
            raise ValueError(
                f"lowest={self.lowest} must be below highest={self.highest}, within 0 to 127"
            )
        if self.steps_per_quarter < 1:
            raise ValueError(f"steps_per_quarter={self.steps_per_quarter} must be at least 1")
        if not self.voices or len(set(self.voices)) != len(self.voices):
            raise ValueError(f"voices={list(self.voices)} must name one or more, each once")
        if DRUMS in self.voices:
            raise ValueError("a grid holds one note of a voice at a time; take events for drums")
        if self.meters and not self.bars:
            raise ValueError(f"meters={list(self.meters)} needs bars: true")
        _ = self.column  # checks the meters

    @property
    def width(self) -> int:
        """One column for each voice, after the bar column if there is one."""
        return len(self.voices) + (self.column is not None)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """rest, pitches by MIDI number, hold, and the symbols of the bar column."""
        pitches = (f"pitch_{pitch}" for pitch in range(self.lowest, self.highest + 1))
        bars = self.column.names if self.column else ()
        return ("rest", *pitches, *(["hold"] if self.hold else []), *bars)

    @property
    def column(self) -> BarColumn | None:
        """The bar column, if there is one."""
        if not self.bars and not self.end:
            return None
        first = self.highest - self.lowest + 2 + self.hold
        return BarColumn(first, self.bars, self.end, self.meters, self.steps_per_quarter)

    def structure(self) -> dict[str, Any] | None:
        """See protocol.Structured."""
        return self.column.structure(len(self.voices), flat=False) if self.column else None

    def quantize(self, piece: Piece) -> Quantized:
        """The four lines on their steps: one note at a time, repeated notes joined unless `hold`.

        Raises:
            Unencodable: a voice is missing, or a pitch lies outside the grid.
        """
        voices = voice_notes(piece, self.voices)
        lines, moved, dropped = [], 0.0, 0
        for number, notes in enumerate(voices):
            check_notes(piece, notes, self.lowest, self.highest)
            stepped, change = to_steps(notes, piece.ticks_per_quarter, self.steps_per_quarter)
            is_bass = number == len(self.voices) - 1 and number > 0
            line, left_out = one_line(stepped, keep_highest=not is_bass)
            line["track"] = number
            lines.append(line if self.hold else join_repeated(line))
            moved += change * len(notes)
            dropped += left_out
        notes = np.concatenate(lines)
        notes["velocity"] = self.velocity
        length = int((notes["onset"] + notes["duration"]).max(initial=0))
        bars, meters = self._bars_of(piece, length)
        quantized = rebuild(
            piece,
            notes,
            ticks_per_quarter=self.steps_per_quarter,
            tracks=voice_tracks(self.voices, self.program),
            meters=meters,
            annotations=annotations(bars),
            tempos=(Tempo(0, self.qpm),),
        )
        count = sum(map(len, voices))
        reasons = {
            "sounds with a higher or lower note of its voice": dropped,
            "in none of the voices": len(piece.notes) - count,
        }
        return Quantized(
            quantized, moved / max(count, 1), {name: n for name, n in reasons.items() if n}
        )

    def encode(self, piece: Piece) -> Tokens:
        """Rows of shape (T, W), with that of the end if there is one."""
        return self.write(self.quantize(piece).piece)

    def write(self, quantized: Piece) -> Tokens:
        """Rows of shape (T, W) of a piece as `quantize` gives it."""
        rows = self._cells(quantized)
        if not self.column:
            return rows
        rows = np.concatenate([self.column.write(quantized)[:, None], rows], axis=1)
        if not self.end:
            return rows
        last = np.array([[self.column.end_symbol, *[REST] * len(self.voices)]], dtype=np.int32)
        return np.concatenate([rows, last])

    def _bars_of(self, piece: Piece, length: int) -> tuple[tuple[int, ...], tuple[Meter, ...]]:
        return self.column.quantize(piece, length) if self.column else ((), (Meter(0, 4, 4),))

    def _cells(self, quantized: Piece) -> Tokens:
        notes = quantized.notes
        cells = np.full((quantized.length, len(self.voices)), REST, dtype=np.int32)
        symbols, lengths = notes["pitch"] - self.lowest + 1, notes["duration"]
        before = np.cumsum(lengths) - lengths  # steps of the notes before
        steps = np.repeat(notes["onset"] - before, lengths) + np.arange(int(lengths.sum()))
        voices = np.repeat(notes["track"], lengths)
        cells[steps, voices] = self._hold if self.hold else np.repeat(symbols, lengths)
        cells[notes["onset"], notes["track"]] = symbols
        return cells

    @property
    def _hold(self) -> int:
        return self.highest - self.lowest + 2

    def decode(self, tokens: Tokens) -> Piece:
        """Runs of one pitch become notes; with `hold`, a pitch begins a note, holds prolong it.

        What follows a row of the end is left out.
        """
        tokens = self._without_end(tokens)
        rows, first = [], self.width - len(self.voices)
        for voice in range(len(self.voices)):
            cells = tokens[:, first + voice]
            begins = np.diff(cells, prepend=-1) != 0
            if self.hold:
                begins = cells != self._hold
            starts = np.flatnonzero(begins)
            ends = np.append(starts[1:], len(cells))  # one too many where nothing begins
            for start, end in zip(starts.tolist(), ends.tolist(), strict=False):
                if cells[start] != REST:
                    pitch = int(cells[start]) + self.lowest - 1
                    rows.append((voice, start, end - start, pitch, self.velocity))
        notes = make_notes(rows)
        length = int((notes["onset"] + notes["duration"]).max(initial=0))
        read = self.column and self.column.read(tokens[:, 0], length)
        bars, meters = read or ((), (Meter(0, 4, 4),))
        return Piece(
            id="",
            ticks_per_quarter=self.steps_per_quarter,
            notes=notes,
            tracks=voice_tracks(self.voices, self.program),
            meters=meters,
            annotations=annotations(bars),
            tempos=(Tempo(0, self.qpm),),
        )

    def _without_end(self, tokens: Tokens) -> Tokens:
        if not self.column or not self.end:
            return tokens
        ends = np.flatnonzero(tokens[:, 0] == self.column.end_symbol)
        return tokens[: ends[0]] if len(ends) else tokens

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """Transposition of every symbol; all but pitches stay."""
        table = np.arange(len(self.vocabulary), dtype=np.int32)
        count = self.highest - self.lowest + 1
        moved = table[1 : count + 1] + semitones
        table[1 : count + 1] = np.where((moved >= 1) & (moved <= count), moved, -1)
        return table

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> GridGrammar | BarGrammar:
        """Bars are those of the bar column, else of one meter; only a sounding voice may hold."""
        size = len(self.vocabulary)
        if self.column:
            hold = self._hold if self.hold else -1
            return BarGrammar(size, self.width, hold, self.column, extent, prompts)
        steps, bar = extent.steps(self.steps_per_quarter), extent.bar_quarters()
        bar_steps = float(bar * self.steps_per_quarter)
        return GridGrammar(size, self.width, self.hold, steps, bar_steps, prompts)

    def bar_starts(self, tokens: Tokens) -> dict[int, int]:
        """By number of score bar, its first row."""
        numbers, rows = np.unique(self._numbers(tokens), return_index=True)
        return dict(zip(numbers.tolist(), rows.tolist(), strict=True))

    def cells(self, tokens: Tokens, bars: tuple[int, int] | None, voices: Sequence[str]) -> Mask:
        """Which cells lie in score bars [first, end) and in the named voices, shape (T, W).

        Never those of the bar column or of the end.

        Raises:
            ValueError: a voice that the grid does not have, naming those it has.
        """
        unknown = [voice for voice in voices if voice not in self.voices]
        if unknown:
            raise ValueError(f"no voice {', '.join(unknown)}; there are {', '.join(self.voices)}")
        numbers = self._numbers(tokens)
        inside = np.zeros(len(tokens), dtype=bool)
        first, end = bars or (0, len(tokens) + 1)
        inside[: len(numbers)] = (numbers >= first) & (numbers < end)
        columns = np.isin(["", *self.voices][not self.column :], voices)
        return inside[:, None] & columns

    def _numbers(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """The number of every row's score bar, without the end."""
        if self.column:
            return self.column.numbers(self._without_end(tokens)[:, 0])
        return 1 + np.arange(len(tokens)) // (4 * self.steps_per_quarter)

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """The first rows, without the end."""
        rows = self._without_end(self.encode(piece))
        return rows[: round(quarters * self.steps_per_quarter)]

    def codec(self) -> dict[str, Any]:
        """Kind and options as plain settings."""
        return settings_of("grid", self, unsaid=LATER)


def build(options: Mapping[str, Any]) -> Grid:
    """A grid from plain settings; raises ValueError for an unknown option."""
    return options_from("grid", Grid, options)


def join_repeated(line: Notes) -> Notes:
    """One note for every run of notes of one pitch that follow each other without a gap."""
    if not len(line):
        return line
    ends = line["onset"] + line["duration"]
    fresh = np.r_[
        True, (line["onset"][1:] != ends[:-1]) | (line["pitch"][1:] != line["pitch"][:-1])
    ]
    joined = line[fresh].copy()
    last = np.r_[np.flatnonzero(fresh)[1:] - 1, len(line) - 1]
    joined["duration"] = ends[last] - joined["onset"]
    return joined
