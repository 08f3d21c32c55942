"""Plain note names in order, without durations: the smallest representation, for first experiments.

All notes of the chosen roles by onset, at one onset from high to low, one token a note (after Eck &
Schmidhuber 2002, who learned pitches on a fixed pulse). Rhythm is lost: decoded, one quarter note
follows another.
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
    voice_notes,
    voice_tracks,
)

END = 0


@dataclass(frozen=True, kw_only=True)
class Pitches:
    """Options of the note names; token 0 is the end, 1.. are pitches from `lowest`.

    roles: the voices to read; empty means all tracks but drums.
    qpm, program, velocity: how decoded music is played; nothing in the tokens says so.
    """

    roles: tuple[str, ...] = ("soprano",)
    lowest: int = 36
    highest: int = 81
    qpm: float = 84.0
    program: int = 19
    velocity: int = 80

    def __post_init__(self) -> None:
        if not 0 <= self.lowest < self.highest <= 127:
            raise ValueError(
                f"lowest={self.lowest} must be below highest={self.highest}, within 0 to 127"
            )
        if len(set(self.roles)) != len(self.roles):
            raise ValueError(f"roles={list(self.roles)} names one twice")

    def codec(self) -> dict[str, Any]:
        """Kind and options as plain settings."""
        return settings_of("pitch", self)

    @property
    def width(self) -> int:
        """One note name at a time."""
        return 1

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """end, and pitches by MIDI number."""
        return ("end", *(f"pitch_{pitch}" for pitch in range(self.lowest, self.highest + 1)))

    def quantize(self, piece: Piece) -> Quantized:
        """One quarter note after another, from quarter 0, all in the first track.

        Raises:
            Unencodable: a role is missing, or a pitch lies outside the range.
        """
        notes = self._notes(piece)
        check_notes(piece, notes, self.lowest, self.highest)
        ordered = notes[np.lexsort((-notes["pitch"], notes["onset"]))]
        onsets = ordered["onset"] / piece.ticks_per_quarter
        moved = float(np.abs(np.arange(len(ordered)) - onsets).mean()) if len(ordered) else 0.0
        left_out = len(piece.notes) - len(notes)
        quantized = rebuild(
            piece,
            self._quarters(ordered["pitch"]),
            ticks_per_quarter=1,
            tracks=self._tracks(),
            meters=(Meter(0, 4, 4),),
            tempos=(Tempo(0, self.qpm),),
        )
        return Quantized(quantized, moved, {"in none of the roles": left_out} if left_out else {})

    def encode(self, piece: Piece) -> Tokens:
        """Tokens of shape (T notes + 1, 1) with the end token."""
        return self.write(self.quantize(piece).piece)

    def write(self, quantized: Piece) -> Tokens:
        """Tokens of shape (T notes + 1, 1) of a piece as `quantize` gives it."""
        pitches = quantized.notes["pitch"]
        return np.append(pitches - self.lowest + 1, END).astype(np.int32)[:, None]

    def decode(self, tokens: Tokens) -> Piece:
        """A quarter note for every note name up to the first end."""
        names = tokens[:, 0]
        names = names[: int(np.argmax(names == END))] if (names == END).any() else names
        return Piece(
            id="",
            ticks_per_quarter=1,
            notes=self._quarters(names + self.lowest - 1),
            tracks=self._tracks(),
            meters=(Meter(0, 4, 4),),
            tempos=(Tempo(0, self.qpm),),
        )

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """Transposition of every note name; the end stays."""
        table = np.arange(len(self.vocabulary), dtype=np.int32)
        moved = table[1:] + semitones
        table[1:] = np.where((moved >= 1) & (moved < len(table)), moved, -1)
        return table

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> "PitchGrammar":
        """As many notes as bars of one meter have quarters, then the end."""
        bar = float(extent.bar_quarters())
        return PitchGrammar(len(self.vocabulary), extent.steps(1), bar, prompts)

    def bar_starts(self, tokens: Tokens) -> dict[int, int]:
        """By number of bar, its first note: every bar has four."""
        return {1 + start // 4: start for start in range(0, len(tokens), 4)}

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """The first notes, one a quarter: time is that of the quantized piece, not of the score."""
        return self.encode(piece)[:-1][: round(quarters)]

    def _notes(self, piece: Piece) -> Notes:
        if self.roles:
            return np.concatenate(voice_notes(piece, self.roles))
        drums = [i for i, track in enumerate(piece.tracks) if track.is_drum]
        return piece.notes[~np.isin(piece.notes["track"], drums)]

    def _tracks(self) -> tuple[Track, ...]:
        """The first holds the notes; the others keep the roles known to a second quantization."""
        if self.roles:
            return voice_tracks(self.roles, self.program)
        return (Track(name="Melody", program=self.program),)

    def _quarters(self, pitches: npt.NDArray[Any]) -> Notes:
        notes = np.zeros(len(pitches), dtype=NOTE)
        notes["onset"], notes["duration"] = np.arange(len(pitches)), 1
        notes["pitch"], notes["velocity"] = pitches, self.velocity
        return notes


def build(options: Mapping[str, Any]) -> Pitches:
    """Pitches from plain settings; raises ValueError for an unknown option."""
    return options_from("pitch", Pitches, options)


class PitchGrammar:
    """Counts notes: two masks, of the end and of all else."""

    def __init__(self, size: int, notes: int, bar: float, prompts: Sequence[Tokens]) -> None:
        self._notes, self._bar = notes, bar
        lengths = np.array([len(prompt) for prompt in prompts])
        self.most = None if notes == NO_LIMIT else max(notes, int(lengths.max())) + 1
        self._left = notes - lengths
        self._ended = np.zeros(len(prompts), dtype=bool)
        self._table = np.zeros((2, size), dtype=bool)
        self._table[0, END] = True
        self._table[1] = ~self._table[0]

    def allowed(self, column: int = 0) -> Mask | None:
        """Every note name, then only the end."""
        return self._table[(self._left > 0).astype(np.int64)]

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Append one note or the end to the sequences in `moving_B`."""
        self._left -= moving_B
        self._ended = np.where(moving_B, np.equal(tokens_B, END), self._ended)

    def finished(self) -> Mask:
        """Which sequences have their end."""
        return self._ended

    def ended(self) -> Mask:
        """Which sequences have their end."""
        return self._ended

    def bars(self) -> npt.NDArray[np.int64]:
        """Complete bars of one meter."""
        notes = self._notes - self._left - self._ended
        return (notes / self._bar).astype(np.int64)

    def select(self, index: Index) -> None:
        """Keep these sequences."""
        self._left, self._ended = self._left[index], self._ended[index]
