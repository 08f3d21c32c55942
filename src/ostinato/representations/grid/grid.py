"""Voices on a grid: one row for each step (a sixteenth), one column for each voice.

The form of the JSB Chorales benchmark (Huang et al. 2018, after Boulanger-Lewandowski 2012): a cell
holds the pitch that sounds or a rest. A repeated note looks like a held one, unless `hold` adds a
symbol for "goes on".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import VOICES, Meter, Notes, Piece, Tempo, make_notes
from ostinato.representations.grid.parts.grammar import REST, GridGrammar
from ostinato.representations.protocol import Mask, Quantized, Tokens
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


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Options of the grid; a cell is 0 for a rest, 1.. for pitches from `lowest`, last for a hold.

    hold: whether a cell that only continues a note has a symbol of its own.
    qpm, program, velocity: how decoded music is played; nothing in the tokens says so.
    """

    voices: tuple[str, ...] = VOICES
    steps_per_quarter: int = 4
    lowest: int = 36
    highest: int = 81
    hold: bool = False
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

    @property
    def width(self) -> int:
        """One column for each voice."""
        return len(self.voices)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """rest, pitches by MIDI number, and hold where it is used."""
        pitches = (f"pitch_{pitch}" for pitch in range(self.lowest, self.highest + 1))
        return ("rest", *pitches, *(["hold"] if self.hold else []))

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
        quantized = rebuild(
            piece,
            notes,
            ticks_per_quarter=self.steps_per_quarter,
            tracks=voice_tracks(self.voices, self.program),
            meters=(Meter(0, 4, 4),),
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
        """Cells of shape (T steps, voices)."""
        return self.write(self.quantize(piece).piece)

    def write(self, quantized: Piece) -> Tokens:
        """Cells of shape (T steps, voices) of a piece as `quantize` gives it."""
        notes = quantized.notes
        cells = np.full((quantized.length, self.width), REST, dtype=np.int32)
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
        """Runs of one pitch become notes; with `hold`, a pitch begins a note, holds prolong it."""
        rows = []
        for voice in range(self.width):
            cells = tokens[:, voice]
            begins = np.diff(cells, prepend=-1) != 0
            if self.hold:
                begins = cells != self._hold
            starts = np.flatnonzero(begins)
            ends = np.append(starts[1:], len(cells))  # one too many where nothing begins
            for start, end in zip(starts.tolist(), ends.tolist(), strict=False):
                if cells[start] != REST:
                    pitch = int(cells[start]) + self.lowest - 1
                    rows.append((voice, start, end - start, pitch, self.velocity))
        return Piece(
            id="",
            ticks_per_quarter=self.steps_per_quarter,
            notes=make_notes(rows),
            tracks=voice_tracks(self.voices, self.program),
            meters=(Meter(0, 4, 4),),
            tempos=(Tempo(0, self.qpm),),
        )

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """Transposition of every symbol; rests and holds stay."""
        table = np.arange(len(self.vocabulary), dtype=np.int32)
        count = self.highest - self.lowest + 1
        moved = table[1 : count + 1] + semitones
        table[1 : count + 1] = np.where((moved >= 1) & (moved <= count), moved, -1)
        return table

    def grammar(self, quarters: float, prompts: Sequence[Tokens]) -> GridGrammar:
        """Ends after `quarters`; with `hold`, only a sounding voice may hold."""
        steps = round(quarters * self.steps_per_quarter)
        return GridGrammar(len(self.vocabulary), self.width, self.hold, steps, prompts)

    def cells(self, length: int, quarters: tuple[float, float], voices: Sequence[str]) -> Mask:
        """Which cells of `length` rows lie in a span of quarter notes and in the named voices.

        Raises:
            ValueError: a voice that the grid does not have, naming those it has.
        """
        unknown = [voice for voice in voices if voice not in self.voices]
        if unknown:
            raise ValueError(f"no voice {', '.join(unknown)}; there are {', '.join(self.voices)}")
        steps = np.arange(length) / self.steps_per_quarter
        inside = (steps >= quarters[0]) & (steps < quarters[1])
        return inside[:, None] & np.isin(self.voices, voices)

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """The first rows."""
        return self.encode(piece)[: round(quarters * self.steps_per_quarter)]

    def codec(self) -> dict[str, Any]:
        """Kind and options as plain settings."""
        return settings_of("grid", self)


def build(options: Mapping[str, Any]) -> Grid:
    """A grid from plain settings; raises ValueError for an unknown option."""
    return options_from(Grid, options)


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
