"""A piano roll: one row for each frame, one column for each key, a cell is off or on.

The form of the frame-level benchmarks (Boulanger-Lewandowski et al. 2012): any number of keys
sounds at once; voices, instruments and velocities are not kept. A repeated note looks like a held
one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import NOTE, Meter, Notes, Piece, Tempo, Track
from ostinato.representations.protocol import NO_LIMIT, Extent, Index, Mask, Quantized, Tokens
from ostinato.representations.voice_lines import (
    check_notes,
    options_from,
    rebuild,
    settings_of,
    to_steps,
)

OFF, ON = 0, 1


@dataclass(frozen=True, kw_only=True)
class Roll:
    """Options of the roll: `keys` columns from MIDI pitch `lowest` up, a piano's by default.

    qpm, program, velocity: how decoded music is played; nothing in the tokens says so.
    """

    lowest: int = 21
    keys: int = 88
    steps_per_quarter: int = 4
    qpm: float = 84.0
    program: int = 0
    velocity: int = 80

    def __post_init__(self) -> None:
        if self.lowest < 0 or self.keys < 1 or self.highest > 127:
            raise ValueError(
                f"lowest={self.lowest} and keys={self.keys} reach from pitch {self.lowest} to "
                f"{self.highest}; take one key or more within 0 to 127"
            )
        if self.steps_per_quarter < 1:
            raise ValueError(f"steps_per_quarter={self.steps_per_quarter} must be at least 1")

    def codec(self) -> dict[str, Any]:
        """Kind and options as plain settings."""
        return settings_of("roll", self)

    @property
    def highest(self) -> int:
        """MIDI pitch of the last column."""
        return self.lowest + self.keys - 1

    @property
    def width(self) -> int:
        """One column for each key."""
        return self.keys

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """A key is off or on."""
        return ("off", "on")

    def quantize(self, piece: Piece) -> Quantized:
        """All tracks but drums as one: what a key sounds without a gap is one note.

        Raises:
            Unencodable: a pitch lies outside the keys, or a note outside all reason.
        """
        drums = [number for number, track in enumerate(piece.tracks) if track.is_drum]
        notes = piece.notes[~np.isin(piece.notes["track"], drums)]
        check_notes(piece, notes, self.lowest, self.highest)
        stepped, moved = to_steps(notes, piece.ticks_per_quarter, self.steps_per_quarter)
        quantized = rebuild(
            piece,
            self._notes(self._cells(stepped)),
            ticks_per_quarter=self.steps_per_quarter,
            tracks=self._tracks(),
            meters=(Meter(0, 4, 4),),
            tempos=(Tempo(0, self.qpm),),
        )
        reasons = {
            "begins while its key sounds": count_doubled(stepped),
            "drums": len(piece.notes) - len(notes),
        }
        return Quantized(quantized, moved, {name: n for name, n in reasons.items() if n})

    def encode(self, piece: Piece) -> Tokens:
        """Cells of shape (T frames, keys), from quarter 0 to the end of the last note."""
        return self.write(self.quantize(piece).piece)

    def write(self, quantized: Piece) -> Tokens:
        """Cells of shape (T frames, keys) of a piece as `quantize` gives it."""
        return self._cells(quantized.notes).astype(np.int32)

    def decode(self, tokens: Tokens) -> Piece:
        """A note for every run of frames that a key is on."""
        return Piece(
            id="",
            ticks_per_quarter=self.steps_per_quarter,
            notes=self._notes(tokens == ON),
            tracks=self._tracks(),
            meters=(Meter(0, 4, 4),),
            tempos=(Tempo(0, self.qpm),),
        )

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """Transposition moves columns, which a table of symbols cannot express: only off stays."""
        return np.array([OFF, -1 if semitones else ON], dtype=np.int32)

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> "RollGrammar":
        """Anything may sound; ends after the bars of one meter."""
        steps = extent.steps(self.steps_per_quarter)
        bar = float(extent.bar_quarters() * self.steps_per_quarter)
        return RollGrammar(self.keys, steps, bar, prompts)

    def bar_starts(self, tokens: Tokens) -> dict[int, int]:
        """By number of bar, its first frame: every bar has four quarters."""
        bar = 4 * self.steps_per_quarter
        return {1 + start // bar: start for start in range(0, len(tokens), bar)}

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """The first frames."""
        return self.encode(piece)[: round(quarters * self.steps_per_quarter)]

    def _cells(self, notes: Notes) -> npt.NDArray[np.bool_]:
        ends = notes["onset"] + notes["duration"]
        keys = notes["pitch"] - self.lowest
        changes = np.zeros((int(ends.max(initial=0)) + 1, self.keys), dtype=np.int16)
        np.add.at(changes, (notes["onset"], keys), 1)
        np.subtract.at(changes, (ends, keys), 1)
        return changes[:-1].cumsum(axis=0, dtype=np.int16) > 0

    def _notes(self, cells: npt.NDArray[np.bool_]) -> Notes:
        edges = np.diff(cells.astype(np.int8), axis=0, prepend=0, append=0)
        keys, starts = np.nonzero(edges.T == 1)  # by key, then time: the ends match
        _, ends = np.nonzero(edges.T == -1)
        notes = np.zeros(len(keys), dtype=NOTE)
        notes["onset"], notes["duration"] = starts, ends - starts
        notes["pitch"], notes["velocity"] = keys + self.lowest, self.velocity
        return notes[np.lexsort((keys, starts))]

    def _tracks(self) -> tuple[Track, ...]:
        return (Track(name="Piano", role="piano", program=self.program),)


def count_doubled(notes: Notes) -> int:
    """How many notes begin before another one of their pitch, begun earlier or with them, ends."""
    ordered = notes[np.lexsort((notes["onset"], notes["pitch"]))]
    apart = int((notes["onset"].astype(np.int64) + notes["duration"]).max(initial=0)) + 1
    base = ordered["pitch"].astype(np.int64) * apart  # one line of time, pitch after pitch
    ends = np.maximum.accumulate(base + ordered["onset"] + ordered["duration"])
    return int(((base + ordered["onset"])[1:] < ends[:-1]).sum())


class RollGrammar:
    """Counts cells; every key may be on or off."""

    def __init__(self, keys: int, frames: int, bar: float, prompts: Sequence[Tokens]) -> None:
        self.most = None if frames == NO_LIMIT else max([frames, *map(len, prompts)])
        self._frames, self._keys, self._bar = frames, keys, bar
        self._cells = np.array([len(prompt) for prompt in prompts]) * keys

    def allowed(self, column: int = 0) -> Mask | None:
        """Off and on."""
        return None

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Append one cell of a frame to the sequences in `moving_B`."""
        self._cells += moving_B

    def finished(self) -> Mask:
        """Which sequences have all their frames."""
        done: Mask = self._cells >= self._frames * self._keys
        return done

    def ended(self) -> Mask:
        """None: there is no end symbol."""
        return np.zeros(len(self._cells), dtype=bool)

    def bars(self) -> npt.NDArray[np.int64]:
        """Complete bars of one meter."""
        return (self._cells // self._keys / self._bar).astype(np.int64)

    def select(self, index: Index) -> None:
        """Keep these sequences."""
        self._cells = self._cells[index]


def build(options: Mapping[str, Any]) -> Roll:
    """A roll from plain settings; raises ValueError for an unknown option."""
    return options_from("roll", Roll, options)
