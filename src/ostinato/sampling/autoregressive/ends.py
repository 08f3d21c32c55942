"""Where a piece may end itself: a look back at the music whenever an end is drawn.

Crops of training end where pieces end, so a transformer whose context is one crop takes many a held
chord for the last one. Bach's chorales end on a triad in root position, nearly all on the tonic.
"""

# B batch, W sub-tokens of a position

import numpy as np
import numpy.typing as npt

from ostinato.metrics.closing import closing_of
from ostinato.metrics.steps import steps_of
from ostinato.representations.protocol import Mask, Representation, Tokens

END = "end"  # in vocabularies


def has_end(representation: Representation) -> bool:
    """Whether pieces of this representation can end themselves."""
    return END in representation.vocabulary


class Ends:
    """Refuses the end of those of B sequences that do not close as `end_on` asks."""

    def __init__(self, representation: Representation, end_on: str) -> None:
        self._representation, self._wants_tonic = representation, end_on == "tonic"
        self.symbol = representation.vocabulary.index(END)
        self._rows: list[Tokens] = []

    def push(self, row_BW: Tokens) -> None:
        """Append a whole row."""
        self._rows.append(row_BW)

    def select(self, index: npt.NDArray[np.int64]) -> None:
        """Keep the sequences at these indices, in this order."""
        self._rows = [row_BW[index] for row_BW in self._rows]

    def refused(self, drawn_B: npt.NDArray[np.integer], drawing_B: Mask) -> Mask:
        """Which sequences drew an end that they may not have here, (B,)."""
        refused_B = drawing_B & np.equal(drawn_B, self.symbol)
        for number in np.flatnonzero(refused_B).tolist():
            refused_B[number] = not self._closes(number)
        return refused_B

    def _closes(self, number: int) -> bool:
        if not self._rows:
            return False
        piece = self._representation.decode(np.stack([row_BW[number] for row_BW in self._rows]))
        closing = closing_of(steps_of(piece))
        if closing is None or not closing.is_triad:
            return False
        return closing.is_tonic or not self._wants_tonic
