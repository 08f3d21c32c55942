"""The cells of a piece that a request leaves free."""

from ostinato.music.piece import Piece
from ostinato.representations.protocol import Fillable, Mask, Representation, Tokens
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.request import Fill


def free_cells(representation: Representation, task: Fill, limit: int) -> tuple[Tokens, Mask]:
    """The rows of a piece's first `limit` bars, (T, W), and which of their cells to fill.

    Raises:
        ValueError: the region lies outside the piece; it names the bars that the piece has.
    """
    assert isinstance(representation, Fillable)
    piece, free = task.piece, task.free
    assert isinstance(piece, Piece)
    tokens = prompt_of(representation, piece, limit)
    free_TW = representation.cells(tokens, free.bars, free.roles or representation.voices)
    if not free_TW.any():
        known = sorted(representation.bar_starts(tokens)) or [0]
        raise ValueError(
            f"infill.bars={list(free.bars or ())} lie outside prompt "
            f"{piece.source or piece.id}, which has bars {known[0]} to {known[-1]}: name bars "
            "that it has"
        )
    return tokens, free_TW
