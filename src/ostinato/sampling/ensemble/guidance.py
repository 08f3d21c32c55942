"""Classifier-free guidance (Ho & Salimans 2022): a piece that knows its conditions, and the same
piece without them, whose difference is made larger.

log p = log p(· | none) + s (log p(· | conditions) - log p(· | none)), normalized; s = 1 is the
model itself. Every step costs twice as much. Nats of made pieces are those of this mixture.
"""

# B batch, V vocabulary

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.models.ensemble.band import Model
from ostinato.models.ensemble.parts.steps import Line, State
from ostinato.models.spec import Given


class GuidedLine:
    """One sequence, as `Line`, under two descriptions."""

    def __init__(self, given: Line, free: Line, strength: float) -> None:
        self.given, self.free, self.strength = given, free, strength

    @property
    def order(self) -> list[int]:
        """Of the roles within a bar."""
        return self.given.order

    @property
    def playing(self) -> list[bool]:
        """Which roles play."""
        return self.given.playing

    @playing.setter
    def playing(self, roles: list[bool]) -> None:
        self.given.playing, self.free.playing = list(roles), list(roles)

    def copy(self) -> GuidedLine:
        """An independent line with the same past."""
        return GuidedLine(self.given.copy(), self.free.copy(), self.strength)

    def log_probabilities(self) -> Tensor:
        """Of the next token of the encoding, (V,)."""
        return self._guided(self.given.log_probabilities(), self.free.log_probabilities())

    def symbol_log_probabilities(self) -> Tensor:
        """Of the next symbol of the open part, (V,)."""
        given, free = (x.symbol_log_probabilities() for x in (self.given, self.free))
        return self._guided(given, free)

    def push(self, token: int) -> None:
        """Append a token of the encoding."""
        self.given.push(token)
        self.free.push(token)

    def __getattr__(self, name: str) -> Any:
        """Other methods of a line, such as open_bar and push_symbol, for both."""
        methods = [getattr(line, name) for line in (self.given, self.free)]

        def both(*arguments: Any) -> None:
            for method in methods:
                method(*arguments)

        return both

    def _guided(self, given_V: Tensor, free_V: Tensor) -> Tensor:
        possible = torch.isfinite(given_V) & torch.isfinite(free_V)
        moved = torch.where(possible, free_V + self.strength * (given_V - free_V), -torch.inf)
        return F.log_softmax(moved, dim=-1)


def line_of(
    model: Model, condition_D: Tensor, order: Sequence[int], strength: float = 1.0
) -> Line | GuidedLine:
    """A new sequence, guided where the strength is not 1."""
    line = Line(model, condition_D, order)
    if strength == 1:
        return line
    return GuidedLine(line, Line(model, model.condition(1, None)[0], order), strength)


class Guided:
    """A model whose sequences are guided; all else is the model's."""

    def __init__(self, model: Any, strength: float) -> None:
        self._model, self._strength = model, strength

    def __getattr__(self, name: str) -> Any:
        """Of the model."""
        return getattr(self._model, name)

    def start(
        self, batch: int, length: int, fixed: bool = False, given: Given | None = None
    ) -> State:
        """The state before the first token of `batch` pieces."""
        told, free = (self._model.start(batch, length, fixed, by).lines for by in (given, None))
        lines = [GuidedLine(*pair, self._strength) for pair in zip(told, free, strict=True)]
        return State(cast("list[Line]", lines))
