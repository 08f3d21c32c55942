"""Score bars of pieces for every representation: prompts that end on a bar line."""

from ostinato.music.piece import Piece
from ostinato.music.timing import numbered_bars
from ostinato.representations.protocol import Representation, Tokens


def first_bars(representation: Representation, piece: Piece, bars: float) -> Tokens:
    """A pickup and the first `bars` score bars as a prompt; at most the whole piece.

    Bars are those that the representation holds: a grid without bars calls four quarters one.

    Raises:
        Unencodable: the representation cannot hold the piece.
    """
    quantized = representation.quantize(piece).piece
    whole, part = divmod(bars, 1)
    ends = [onset for onset, number in numbered_bars(quantized) if number > whole]
    ends += [quantized.length] * 2
    ticks = ends[0] + part * (ends[1] - ends[0])
    return representation.prefix(quantized, ticks / quantized.ticks_per_quarter)
