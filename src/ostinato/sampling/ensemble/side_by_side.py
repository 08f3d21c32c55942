"""One grammar of several pieces that differ in length and meter, so that they grow side by side."""

# B sequences, V vocabulary

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from ostinato.representations.events.parts.roles_grammar import RolesGrammar
from ostinato.representations.protocol import Index, Mask


class SideBySide:
    """A grammar of each sequence, as one `Grammar`. grammars: of one sequence each."""

    def __init__(self, grammars: Sequence[RolesGrammar]) -> None:
        self._grammars = list(grammars)
        self.most = max(grammar.most for grammar in grammars)

    def relax(self) -> None:
        """As `RolesGrammar.relax`."""
        for grammar in self._grammars:
            grammar.relax()

    def allowed(self, column: int = 0) -> Mask:
        """What may come next, (B, V)."""
        rows = [cast(Mask, grammar.allowed()) for grammar in self._grammars]
        return np.concatenate(rows)

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Append a token to the sequences in `moving_B`."""
        everyone = np.ones(1, dtype=bool)
        for number in np.flatnonzero(moving_B).tolist():
            self._grammars[number].advance(tokens_B[number : number + 1], everyone)

    def finished(self) -> Mask:
        """Which sequences have their end."""
        return np.concatenate([grammar.finished() for grammar in self._grammars])

    def ended(self) -> Mask:
        """Which sequences have an end before the last bar that was asked for."""
        return np.concatenate([grammar.ended() for grammar in self._grammars])

    def bars(self) -> npt.NDArray[np.int64]:
        """How many bars are complete."""
        return np.concatenate([grammar.bars() for grammar in self._grammars])

    def select(self, index: Index) -> None:
        """Keep these sequences, each once."""
        self._grammars = [self._grammars[number] for number in np.asarray(index).tolist()]
