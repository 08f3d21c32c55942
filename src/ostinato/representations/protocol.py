"""What every representation offers.

A piece becomes an integer array of shape (T positions, W sub-tokens): W is 4 voices on a grid, 1
for a stream of events. `decode(encode(piece))` equals `quantize(piece)` exactly: `quantize` first
changes what a representation cannot hold, and reports how much it changed.
"""

# B batch, V vocabulary

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Piece
from ostinato.music.recording import Recording

Tokens = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int64]
FORMAT = 2
NO_LIMIT = 1 << 30  # steps


REASONS = {
    "voice missing": "a voice that every piece must have is not in it",
    "no notes": "no notes in the voices that are read",
    "too many tracks": "more tracks play than the representation has voices",
    "pitch out of range": "a note below the lowest or above the highest pitch",
    "meter not in the vocabulary": "a meter that is not in the representation's list",
    "too long": "a note lies before quarter note 0 or after LONGEST_QUARTERS",
    "no sound": "the SoundFont makes no sound of it, or not of all of it",
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


@dataclass(frozen=True)
class Extent:
    """How long sampled music may become, in score bars; a pickup does not count as one.

    bars: the limit, bars of a prompt included; None: no limit.
    least: bars before the piece may end by its own end symbol.
    meter: such as 3/4; None: the model chooses, or 4/4 where a representation has no meters.
    pickup: its quarters, 0 for none; None: the model chooses.
    """

    bars: int | None = 16
    least: int = 0
    meter: str | None = None
    pickup: float | None = None

    def __post_init__(self) -> None:
        if self.bars is not None and not 0 <= self.least <= self.bars:
            raise ValueError(f"least={self.least} must be 0 to bars={self.bars}")
        if self.pickup is not None and self.pickup < 0:
            raise ValueError(f"pickup={self.pickup} must be 0 quarters or more")

    def bar_quarters(self) -> Fraction:
        """Length of a bar of the meter in quarter notes, of 4/4 where none is given."""
        numerator, denominator = read_meter(self.meter or "4/4")
        return Fraction(4 * numerator, denominator)

    def steps(self, steps_per_quarter: int) -> int:
        """The limit in steps, where every bar has the meter; NO_LIMIT without bars.

        For representations that have no bars of their own.

        Raises:
            ValueError: a pickup is asked for, which these cannot begin with.
        """
        if self.pickup is not None:
            raise ValueError(
                f"pickup={self.pickup}: this representation has no bars; "
                "leave it out, or take a grid with bars: true"
            )
        if self.bars is None:
            return NO_LIMIT
        return round(self.bars * self.bar_quarters() * steps_per_quarter)


def read_meter(text: str) -> tuple[int, int]:
    """Numerator and denominator of a meter like 3/4.

    Raises:
        ValueError: not a meter.
    """
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f"{text!r} is no meter; write a meter like 3/4")
    return int(parts[0]), int(parts[1])


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
        """Which sequences are complete, shape (B,): ended, or as long as was asked for."""

    def ended(self) -> Mask:
        """Which sequences have an end symbol, shape (B,); finished ones without were cut."""

    def bars(self) -> npt.NDArray[np.int64]:
        """How many score bars each sequence has completed, shape (B,)."""

    def select(self, index: Index) -> None:
        """Keep the sequences at these indices, in this order; an index may occur twice."""


@runtime_checkable
class Relaxable(Protocol):
    """A grammar that forbids in samples what pieces may have."""

    def relax(self) -> None:
        """From now on allow all that pieces may have."""


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

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> Grammar:
        """A grammar for sequences that begin with these prompts.

        Raises:
            ValueError: an extent that this representation cannot keep.
        """

    def bar_starts(self, tokens: Tokens) -> dict[int, int]:
        """By number of score bar, its first position; bar 0 is a pickup, bar 1 the first full bar.

        Where a representation has no bars, every bar has four quarters.
        """

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

    def cells(self, tokens: Tokens, bars: tuple[int, int] | None, voices: Sequence[str]) -> Mask:
        """Which cells lie in score bars [first, end) and in the named voices, shape (T, W).

        bars: None is the whole piece. Numbers are those of `bar_starts`.
        """


@runtime_checkable
class Structured(Protocol):
    """A representation some of whose cells are no music but bar lines, meters and ends."""

    def structure(self) -> dict[str, Any] | None:
        """What codec.json says of them; None: every column is a voice.

        voice_columns, bar_column: numbers of columns. inside, bar, end: their sub-tokens, or None.
        meters: sub-tokens of bar lines, by meter. structural: all of these.
        """


@runtime_checkable
class Sounding(Protocol):
    """A representation of sound: real numbers, which decode to a `Recording` in place of a piece.

    Its `shift` is empty, and what counts bars or symbols raises ValueError.
    """

    @property
    def kind(self) -> str:
        """As in ArraySpec."""

    @property
    def sample_rate(self) -> int:
        """Of the sounds that it reads and makes, in Hz."""

    @property
    def rate(self) -> float:
        """Frames a second."""

    def recording(self, sound: npt.NDArray[Any]) -> Recording:
        """A sound (N,) as its frames."""


@runtime_checkable
class Timed(Protocol):
    """A stream of events: positions differ in duration."""

    def timing(self) -> dict[str, list[int]]:
        """What every sub-token does to the time, in steps; V numbers in each list.

        shift: steps by which it moves time forward. bar: 1 where it begins the next bar. meter:
        length of the current and later bars; 0: unchanged. place: position in the bar that it sets;
        -1: unchanged.
        """
