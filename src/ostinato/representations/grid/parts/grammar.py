"""The grammar of a grid: counts cells; with a hold symbol, only a sounding voice may hold."""

# B batch, V vocabulary

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ostinato.representations.protocol import Index, Mask, Tokens

REST = 0


class GridGrammar:
    """Rows of `width` cells up to `steps`; see protocol.Grammar. The hold symbol is the last."""

    def __init__(
        self, size: int, width: int, hold: bool, steps: int, prompts: Sequence[Tokens]
    ) -> None:
        self.most = max([steps, *map(len, prompts)])
        self._cells_left = (steps - np.array([len(prompt) for prompt in prompts])) * width
        self._sounds = np.zeros((len(prompts), width), dtype=np.int64)
        for number, prompt in enumerate(prompts):
            self._sounds[number] = prompt[-1] != REST if len(prompt) else 0
        self._table = np.ones((2, size), dtype=bool)  # by whether the voice sounds
        self._table[0, -1] = not hold
        self._hold = hold

    def allowed(self, column: int = 0) -> Mask | None:
        """Every symbol, but a hold only where the voice of this column sounds."""
        return self._table[self._sounds[:, column]] if self._hold else None

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Append one cell to the sequences in `moving_B`."""
        sounds = np.not_equal(tokens_B, REST)
        self._sounds[:, column] = np.where(moving_B, sounds, self._sounds[:, column])
        self._cells_left -= moving_B

    def finished(self) -> Mask:
        """Which sequences have all their cells."""
        done: Mask = np.less_equal(self._cells_left, 0)
        return done

    def select(self, index: Index) -> None:
        """Keep these sequences."""
        self._cells_left, self._sounds = self._cells_left[index], self._sounds[index]
