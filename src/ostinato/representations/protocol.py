"""What every representation offers, and the one place where its name becomes a class.

A piece becomes an integer array of shape (T positions, W sub-tokens): W is 4 voices on a grid, 1
for a stream of events. `decode(encode(piece))` equals `quantize(piece)` exactly: what a
representation cannot say, `quantize` changes first, and says how much.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Piece

Tokens = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
FORMAT = 2


REASONS = {
    "voice missing": "a voice that every piece must have is not in it",
    "no notes": "none in the voices that are read",
    "too many tracks": "more sound than there are voices by place",
    "pitch out of range": "a note below the lowest or above the highest pitch",
    "meter not in the vocabulary": "a meter that the representation was not told of",
    "too long": "it does not lie between quarter note 0 and LONGEST_QUARTERS",
}
LONGEST_QUARTERS = 1 << 16  # nine hours at 120 a minute; a stray event must not make a huge array


class Unencodable(ValueError):
    """A piece that a representation cannot hold: the reason to count by, and words about it."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
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
    """Which sub-tokens may come next, so that whatever is sampled decodes.

    One grammar follows one sequence. `allowed` is a mask over the vocabulary, `advance` takes the
    chosen sub-token, `finished` says that the music has the length that was asked for. `column`
    names the sub-token's place in its position: a model may fill the columns in any order.
    """

    def allowed(self, column: int = 0) -> Mask:
        """Mask over the vocabulary of what may come next, shape (V,)."""

    def advance(self, token: int, column: int = 0) -> None:
        """Take the chosen sub-token."""

    def finished(self) -> bool:
        """Whether the music is as long as was asked for."""


class Representation(Protocol):
    """Piece ⇄ array of shape (T, W)."""

    @property
    def width(self) -> int:
        """W: sub-tokens of a position."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the sub-tokens, by number; one vocabulary for all W columns."""

    def quantize(self, piece: Piece) -> Quantized:
        """The piece as this representation can say it; raises Unencodable."""

    def encode(self, piece: Piece) -> Tokens:
        """`write` of what `quantize` makes of a piece, shape (T, W); raises Unencodable."""

    def write(self, quantized: Piece) -> Tokens:
        """A piece as `quantize` gives it, as an array of shape (T, W)."""

    def decode(self, tokens: Tokens) -> Piece:
        """The piece of an array; any array that the grammar allows decodes."""

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """For every sub-token its number after transposition, -1 where it leaves the vocabulary."""

    def grammar(self, quarters: float, prompt: Tokens) -> Grammar:
        """A grammar for a sequence that has begun with `prompt` and ends after `quarters`."""

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """The first `quarters` of a quantized piece as a prompt that the grammar can go on from.

        Notes that sound at the cut end there when the prompt is decoded. At most the whole piece.
        """

    def codec(self) -> dict[str, Any]:
        """Plain settings, kind included, from which `build` makes an equal representation."""


@runtime_checkable
class Fillable(Protocol):
    """A representation whose cells stand at known times and in known voices: parts of a piece can
    be filled while the others stay where they are.
    """

    @property
    def voices(self) -> Sequence[str]:
        """Names of the voices."""

    def cells(self, length: int, quarters: tuple[float, float], voices: Sequence[str]) -> Mask:
        """Which cells of `length` positions lie in a span of quarters and in the named voices."""


@runtime_checkable
class Timed(Protocol):
    """A stream of events, whose positions are not equally far apart in time."""

    def timing(self) -> dict[str, list[int]]:
        """What every sub-token does to the time, in steps, V numbers each.

        shift: by how much it moves time on. bar: 1 where it begins the next bar. meter: how long
        bars are from the current one on; 0 says nothing. place: where in the bar it goes; -1 says
        nothing.
        """


def build(settings: Mapping[str, Any]) -> Representation:
    """A representation from its settings: `kind` chooses the class, the rest are its options.

    Raises:
        ValueError: an unknown kind or option, naming the valid ones.
    """
    from ostinato.representations.events.representation import Events
    from ostinato.representations.grid import Grid
    from ostinato.representations.grid_flat import GridFlat
    from ostinato.representations.pitch import Pitches
    from ostinato.representations.roll import Roll

    kinds: dict[str, Callable[[Mapping[str, Any]], Representation]] = {
        "events": Events.from_settings,
        "grid": Grid.from_settings,
        "grid_flat": GridFlat.from_settings,
        "pitch": Pitches.from_settings,
        "roll": Roll.from_settings,
    }
    options = dict(settings)
    kind = options.pop("kind", None)
    if kind not in kinds:
        raise ValueError(
            f"unknown representation kind {kind!r}; known kinds: {', '.join(sorted(kinds))}"
        )
    return kinds[kind](options)
