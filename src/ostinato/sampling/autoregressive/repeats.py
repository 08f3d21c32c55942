"""No passage twice: which sub-token would complete a passage that occurred before.

A passage is n consecutive positions: rows of a grid, or tokens of a stream. Paulus et al. 2018
forbid repeated phrases of three words; music repeats single chords all the time, so here n is an
option, about the length of a bar, and only whole positions count. A passage in which nothing moves
(a held chord, a rest) is not a repetition. Only the last sub-token of a position completes a
passage, so only that is restricted; if the grammar leaves nothing else, the repetition is allowed.
"""

# B batch, T positions so far, W sub-tokens of a position, V vocabulary

import numpy as np
import numpy.typing as npt

from ostinato.representations.protocol import Mask, Tokens

ROOM = 64


class NoRepeat:
    """Follows B sequences. passage: its positions; last: the column that is filled last."""

    def __init__(self, batch: int, width: int, passage: int, last: int) -> None:
        self._passage, self._last = passage, last
        self._others = [column for column in range(width) if column != last]
        self._count = 0
        self._rows = np.zeros((batch, ROOM, width), dtype=np.int32)
        # how many positions up to each equal those up to the latest
        self._alike = np.zeros((batch, ROOM), dtype=np.int64)

    def push(self, row_BW: Tokens) -> None:
        """Append a whole position."""
        count = self._count
        if count == self._rows.shape[1]:
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)], axis=1)
            self._alike = np.concatenate([self._alike, np.zeros_like(self._alike)], axis=1)
        same_BT = (self._rows[:, :count] == row_BW[:, None]).all(axis=2)
        longer = np.zeros_like(self._alike[:, :count])
        longer[:, 1:] = self._alike[:, : max(count - 1, 0)]
        self._alike[:, :count] = np.where(same_BT, longer + 1, 0)
        self._rows[:, count] = row_BW
        self._count = count + 1

    def forbidden(self, row_BW: Tokens, size: int) -> Mask:
        """Mask (B, V) of what may not fill the last column of a position; the others are filled.

        size: V.
        """
        mask = np.zeros((len(row_BW), size), dtype=bool)
        count, before = self._count, self._passage - 1
        if count <= before:
            return mask
        next_BTW = self._rows[:, 1:count]
        repeats_BT = self._alike[:, : count - 1] >= before
        repeats_BT &= (next_BTW[..., self._others] == row_BW[:, None, self._others]).all(axis=2)
        # nothing has moved in the last n - 1 positions, and would not now
        recent = self._rows[:, count - before : count]
        still_B = (recent == recent[:, :1]).all(axis=(1, 2))
        repeats_BT &= ~(still_B[:, None] & (next_BTW == recent[:, -1:]).all(axis=2))
        sequences, times = np.nonzero(repeats_BT)
        mask[sequences, next_BTW[sequences, times, self._last]] = True
        return mask

    def select(self, index: npt.NDArray[np.int64]) -> None:
        """Keep the sequences at these indices, in this order."""
        self._rows, self._alike = self._rows[index], self._alike[index]
