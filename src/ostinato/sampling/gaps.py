"""The cells of a piece that a request leaves free."""

from ostinato.music.piece import Piece
from ostinato.representations.protocol import Fillable, Mask, Representation, Tokens
from ostinato.sampling.prompts import prompt_of
from ostinato.sampling.request import Fill


def free_cells(representation: Representation, task: Fill, limit: int) -> tuple[Tokens, Mask]:
    """The rows of a piece's first `limit` bars, (T, W), and which of their cells to fill.

    Raises:
        ValueError: the region does not lie in the piece, or is all of it; says what the piece has.
    """
    assert isinstance(representation, Fillable)
    piece, free = task.piece, task.free
    assert isinstance(piece, Piece)
    tokens = prompt_of(representation, piece, limit)
    cells_TW = representation.cells(tokens, None, representation.voices)
    free_TW = representation.cells(tokens, free.bars, free.roles or representation.voices)
    known = sorted(representation.bar_starts(tokens)) or [0]
    name = piece.source or piece.id
    if not free_TW.any() or (free.bars and free.bars[1] > known[-1] + 1):
        raise ValueError(
            f"infill.bars={list(free.bars or ())} lie outside prompt {name}, which has bars "
            f"{known[0]} to {known[-1]}: name bars that it has, at most "
            f"infill.bars=[{known[0]}, {known[-1] + 1}]"
        )
    if free_TW.sum() == cells_TW.sum():
        raise ValueError(
            f"bars {known[0]} to {known[-1]} of {', '.join(free.roles or representation.voices)} "
            f"are all of prompt {name}: nothing would be kept. Name fewer bars or voices, or make "
            "a new piece with task=unconditional"
        )
    return tokens, free_TW
