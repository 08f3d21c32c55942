"""What every representation offers.

A piece becomes an integer array of shape (T positions, W sub-tokens): W is 4 voices on a grid, 1
for a stream of events. `decode(encode(piece))` equals `quantize(piece)` exactly: `quantize` first
changes what a representation cannot hold, and reports how much it changed.
"""

# B batch, V vocabulary

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Piece

Tokens = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int64]
FORMAT = 2


REASONS = {
    "voice missing": "a voice that every piece must have is not in it",
    "no notes": "no notes in the voices that are read",
    "too many tracks": "more tracks play than the representation has voices",
    "pitch out of range": "a note below the lowest or above the highest pitch",
    "meter not in the vocabulary": "a meter that is not in the representation's list",
    "too long": "a note lies before quarter note 0 or after LONGEST_QUARTERS",
}
LONGEST_QUARTERS = 1 << 16  # nine hours at 120 a minute: a stray event must not make a huge array


class Unencodable(ValueError):
    """A piece that a representation cannot hold: a reason from REASONS, and the details."""

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(details)
        if reason not in REASONS:
            raise ValueError(f"unknown reason {reason!r}; known are {', '.join(REASONS)}")
        self.reason = reason


@dataclass(frozen=True)
class Quantized:
    """A piece as a representation holds it, and what that cost.

    moved: the mean absolute change of onsets in quarter notes.
    dropped: notes left out, by reason.
    """

    piece: Piece
    moved: float
    dropped: Mapping[str, int]


class Grammar(Protocol):
    """Which sub-tokens may come next in each of B sequences, so that every sample decodes.

    column: place of the sub-token within its position. A model may fill the columns of a position
    in any order, each once.
    """

    @property
    def most(self) -> int | None:
        """Largest possible number of positions of a sequence, prompt included; None: no bound."""

    def allowed(self, column: int = 0) -> Mask | None:
        """What may come next, shape (B, V); None: everything, in all sequences."""

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Append a sub-token to the sequences in `moving_B`; the others stay unchanged."""

    def finished(self) -> Mask:
        """Which sequences have the length that was asked for, shape (B,)."""

    def select(self, index: Index) -> None:
        """Keep the sequences at these indices, in this order; an index may occur twice."""


class Representation(Protocol):
    """Piece ⇄ array of shape (T, W)."""

    @property
    def width(self) -> int:
        """W: sub-tokens of a position."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the sub-tokens, by number; one vocabulary for all W columns."""

    def quantize(self, piece: Piece) -> Quantized:
        """The piece as this representation can hold it; raises Unencodable."""

    def encode(self, piece: Piece) -> Tokens:
        """`write` of what `quantize` makes of a piece, shape (T, W); raises Unencodable."""

    def write(self, quantized: Piece) -> Tokens:
        """A piece as `quantize` gives it, as an array of shape (T, W)."""

    def decode(self, tokens: Tokens) -> Piece:
        """The piece of an array; every array that the grammar allows decodes."""

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """For every sub-token its number after transposition, -1 where it leaves the vocabulary."""

    def grammar(self, quarters: float, prompts: Sequence[Tokens]) -> Grammar:
        """A grammar for sequences that begin with these prompts and end after `quarters`."""

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """The first `quarters` of a piece as a prompt, without an end token; at most all of it.

        Notes that sound at the cut end there when the prompt is decoded.
        """

    def codec(self) -> dict[str, Any]:
        """Plain settings, kind included; `registry.build` makes an equal representation of them."""


@runtime_checkable
class Fillable(Protocol):
    """A representation whose cells have known times and voices, so that gaps can be filled."""

    @property
    def voices(self) -> Sequence[str]:
        """Names of the voices."""

    def cells(self, length: int, quarters: tuple[float, float], voices: Sequence[str]) -> Mask:
        """Which cells of `length` positions lie in a span of quarters and in the named voices."""


@runtime_checkable
class Timed(Protocol):
    """A stream of events: positions differ in duration."""

    def timing(self) -> dict[str, list[int]]:
        """What every sub-token does to the time, in steps; V numbers in each list.

        shift: steps by which it moves time forward. bar: 1 where it begins the next bar. meter:
        length of the current and later bars; 0: unchanged. place: position in the bar that it sets;
        -1: unchanged.
        """
