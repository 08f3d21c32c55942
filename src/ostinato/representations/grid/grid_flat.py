"""The grid as one stream of cells: step by step, within a step voice by voice.

Music Transformer's serialization of the JSB Chorales (Huang et al. 2018); its order is soprano,
alto, tenor, bass. Cells, symbols and `quantize` are those of the grid, so nats per cell of both
forms are comparable. One position is one cell: sequences are longer by the number of voices, and a
model's `periods`, `context` and `crop` count cells. With four voices on sixteenths, a period of 4
shows which voice is next and 64 is a bar of 4/4; `ages` would compare different voices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.music.piece import Piece
from ostinato.representations.grid.grid import LATER, Grid
from ostinato.representations.protocol import Extent, Grammar, Index, Mask, Quantized, Tokens
from ostinato.representations.voice_lines import options_from, settings_of


@dataclass(frozen=True, kw_only=True)
class OrderedGrid(Grid):
    """Options of the flat grid: those of the grid, and the order of the voices within a step.

    order: all voices by name; empty: as in `voices`.
    """

    order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order and sorted(self.order) != sorted(self.voices):
            raise ValueError(
                f"order={list(self.order)} must name each of voices={list(self.voices)} once"
            )

    @property
    def columns(self) -> tuple[int, ...]:
        """The grid's columns in the order of a step's cells: the bar column, then the voices."""
        bars = (0,) if self.column else ()
        voices = [self.voices.index(voice) for voice in self.order or self.voices]
        return (*bars, *(len(bars) + voice for voice in voices))


@dataclass(frozen=True)
class GridFlat:
    """A grid written cell by cell."""

    grid: OrderedGrid

    def codec(self) -> dict[str, Any]:
        """Kind and options as plain settings."""
        return settings_of("grid_flat", self.grid, unsaid=LATER)

    @property
    def width(self) -> int:
        """One cell at a time."""
        return 1

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The grid's."""
        return self.grid.vocabulary

    @property
    def voices(self) -> tuple[str, ...]:
        """The grid's."""
        return self.grid.voices

    def quantize(self, piece: Piece) -> Quantized:
        """As the grid does.

        Raises:
            Unencodable: a voice is missing, or a pitch lies outside the grid.
        """
        return self.grid.quantize(piece)

    def structure(self) -> dict[str, Any] | None:
        """See protocol.Structured; an end is one cell."""
        column = self.grid.column
        return column.structure(len(self.voices), flat=True) if column else None

    def encode(self, piece: Piece) -> Tokens:
        """Cells of shape (T, 1)."""
        return self.write(self.quantize(piece).piece)

    def write(self, quantized: Piece) -> Tokens:
        """Cells of shape (T, 1) of a piece as `quantize` gives it."""
        cells = self.grid.write(quantized)[:, self.grid.columns].reshape(-1, 1)
        return cells[: len(cells) - len(self.voices)] if self.grid.end else cells

    def decode(self, tokens: Tokens) -> Piece:
        """The music of whole steps; an incomplete last step is left out."""
        return self.grid.decode(self._rows(tokens))

    def shift(self, semitones: int) -> npt.NDArray[np.int32]:
        """Transposition of every symbol; rests and holds stay."""
        return self.grid.shift(semitones)

    def grammar(self, extent: Extent, prompts: Sequence[Tokens]) -> "FlatGrammar":
        """Ends with a whole step or with the end; only a sounding voice may hold."""
        rows = [self._rows(prompt) for prompt in prompts]
        of_rows = self.grid.grammar(extent, rows)
        most = of_rows.most and max([of_rows.most * self.grid.width, *map(len, prompts)])
        grammar = FlatGrammar(of_rows, self.grid.columns, len(prompts), most)
        rests = [prompt[row.size :, 0] for prompt, row in zip(prompts, rows, strict=True)]
        for place in range(max(map(len, rests))):  # of a step that the prompt only begins
            begun = np.array([len(rest) > place for rest in rests])
            cells = [rest[place] if len(rest) > place else 0 for rest in rests]
            grammar.advance(np.array(cells), begun)
        return grammar

    def bar_starts(self, tokens: Tokens) -> dict[int, int]:
        """By number of score bar, its first cell."""
        starts = self.grid.bar_starts(self._rows(tokens))
        return {number: row * self.grid.width for number, row in starts.items()}

    def cells(self, tokens: Tokens, bars: tuple[int, int] | None, voices: Sequence[str]) -> Mask:
        """Which cells lie in score bars [first, end) and in the named voices, shape (T, 1).

        Raises:
            ValueError: a voice that the grid does not have, naming those it has.
        """
        found = self.grid.cells(self._rows(tokens), bars, voices)
        free = np.zeros((len(tokens), 1), dtype=bool)
        free[: found.size] = found[:, self.grid.columns].reshape(-1, 1)
        return free

    def prefix(self, piece: Piece, quarters: float) -> Tokens:
        """The cells of the first steps, without the end."""
        rows = self.grid.prefix(piece, quarters)
        return rows[:, self.grid.columns].reshape(-1, 1)

    def _rows(self, tokens: Tokens) -> Tokens:
        """Whole steps as the grid has them, shape (steps, voices)."""
        steps = len(tokens) // self.grid.width
        rows = np.empty((steps, self.grid.width), dtype=np.int32)
        rows[:, self.grid.columns] = tokens[: rows.size].reshape(rows.shape)
        return rows


def build(options: Mapping[str, Any]) -> GridFlat:
    """A flat grid from plain settings; raises ValueError for an unknown option."""
    return GridFlat(options_from("grid_flat", OrderedGrid, options))


class FlatGrammar:
    """The grid's grammar, one voice after another; each sequence may be at another voice."""

    def __init__(
        self, rows: Grammar, columns: tuple[int, ...], batch: int, most: int | None
    ) -> None:
        self.most = most
        self._rows = rows
        self._columns_W = np.array(columns)
        self._cells_B = np.zeros(batch, dtype=np.int64)

    def allowed(self, column: int = 0) -> Mask | None:
        """What the grid allows in the voice that is next in each sequence."""
        mask_BV = None
        for voice, here_B in self._by_voice():
            theirs_BV = self._rows.allowed(voice)
            if theirs_BV is None:
                return None
            if mask_BV is None:
                mask_BV = theirs_BV.copy()
            mask_BV[here_B] = theirs_BV[here_B]
        return mask_BV

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Take one cell of each sequence that moves."""
        for voice, here_B in self._by_voice():
            self._rows.advance(tokens_B, moving_B & here_B, voice)
        self._cells_B += moving_B

    def finished(self) -> Mask:
        """Which sequences have all their steps, whole, or the end."""
        return self._rows.finished() | self._rows.ended()

    def ended(self) -> Mask:
        """Which sequences have an end symbol."""
        return self._rows.ended()

    def bars(self) -> npt.NDArray[np.int64]:
        """Complete score bars."""
        return self._rows.bars()

    def select(self, index: Index) -> None:
        """Follow these of the sequences."""
        self._rows.select(index)
        self._cells_B = self._cells_B[index]

    def _by_voice(self) -> list[tuple[int, Mask]]:
        """The voices that are next anywhere, and in which sequences."""
        next_B = self._columns_W[self._cells_B % len(self._columns_W)]
        return [(voice, np.equal(next_B, voice)) for voice in np.unique(next_B).tolist()]
