"""Grammars of many sequences side by side: one step of a batch is a few operations on arrays.

What a representation's grammar is, protocol.Grammar says for one sequence. Here states are columns
of numbers and masks come from tables, made once. A representation without such tables is asked
sequence by sequence.
"""

# B batch, V vocabulary

import copy
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ostinato.representations.protocol import Grammar, Mask, Representation, Tokens

Index = npt.NDArray[np.int64]


class Grammars(Protocol):
    """The grammars of B sequences; see protocol.Grammar for what each says."""

    @property
    def most(self) -> int | None:
        """Positions that no sequence exceeds, its prompt included; None where it may be any."""

    def allowed(self, column: int = 0) -> Mask | None:
        """What may come next, (B, V); None: everything, for all."""

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Take a sub-token of the sequences that move; the others stay where they are."""

    def finished(self) -> Mask:
        """Whose music is as long as was asked for, (B,)."""

    def select(self, index: Index) -> None:
        """Follow these of the sequences from now on, in this order; one may be there twice."""


@runtime_checkable
class SideBySide(Protocol):
    """A representation that has tables."""

    def grammars(self, quarters: float, prompts: Sequence[Tokens]) -> Grammars:
        """As `grammar`, for each prompt."""


def side_by_side(
    representation: Representation, quarters: float, prompts: Sequence[Tokens]
) -> Grammars:
    """Grammars for sequences that have begun with the prompts and end after `quarters`."""
    if isinstance(representation, SideBySide):
        return representation.grammars(quarters, prompts)
    return OneByOne([representation.grammar(quarters, prompt) for prompt in prompts])


class OneByOne:
    """Grammars of single sequences, asked in turn."""

    most = None

    def __init__(self, grammars: Sequence[Grammar]) -> None:
        self._grammars = list(grammars)

    def allowed(self, column: int = 0) -> Mask | None:
        """What may come next, (B, V)."""
        return np.stack([grammar.allowed(column) for grammar in self._grammars])

    def advance(self, tokens_B: npt.NDArray[np.integer], moving_B: Mask, column: int = 0) -> None:
        """Take a sub-token of the sequences that move."""
        for number in np.flatnonzero(moving_B).tolist():
            self._grammars[number].advance(int(tokens_B[number]), column)

    def finished(self) -> Mask:
        """Whose music is as long as was asked for."""
        return np.array([grammar.finished() for grammar in self._grammars])

    def select(self, index: Index) -> None:
        """Follow these of the sequences from now on."""
        self._grammars = [copy.deepcopy(self._grammars[number]) for number in index.tolist()]
