"""Lets what a request forbids go to what is nearest to it, not to whatever else is allowed.

A mask alone shares the probability of what it forbids out in proportion to all that is left. In a
stream of roles that distorts two things. The last role of a bar ends its part by the next bar or
by the end of the piece; where only one of these is allowed, and the model holds it unlikely, the
part would hardly end, and be filled up with notes. So what ends a part keeps its probability as a
whole. And a note that the model would hold beyond the last bar would be cut to any shorter length;
it is cut at the end. The nats of whole pieces stay the model's, see `Bounded.by_model`; those of a
session are of what was drawn from.
"""

# B sequences, V vocabulary

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.models.ensemble.parts.layout import BAR, DURATION, END, OPEN, PITCH, POSITION
from ostinato.models.spec import Given
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import NO_LIMIT, Extent
from ostinato.sampling.sampler import Made


def clipped(logs_V: Tensor, first: int, longest: int, room: int) -> Tensor:
    """Log-probabilities with those of the durations beyond `room` steps at the longest within.

    first: the place of the duration of one step, which the other ones up to `longest` follow.
    """
    last, end = first + max(1, room) - 1, first + longest
    if last + 1 >= end:
        return logs_V
    out_V = logs_V.clone()
    out_V[last] = logs_V[last:end].logsumexp(0)
    out_V[last + 1 : end] = -torch.inf
    return out_V


class Row:
    """What one sequence has so far, within an extent.

    tokens: all. more: by token, how many nats more the model itself asks for it.
    """

    def __init__(self, known: Roles, extent: Extent) -> None:
        self._known, self._extent = known, extent
        self._begun = self._steps = self._place = 0
        self._kind, self._role = BAR, -1
        self.tokens: list[int] = []
        self.more: list[float] = []

    def bounded(self, logs_V: Tensor) -> Tensor:
        """Log-probabilities of the next token, (V,), as they are drawn from."""
        if self._kind == PITCH and self._extent.bars is not None:
            room = max(1, self._extent.bars + 1 - self._begun) * self._steps - self._place
            layout = self._known.layout
            first = int(layout.durations[self._role]) + 1
            return clipped(logs_V, first, layout.longest, room)
        return self._ending(logs_V) if self._kind in (OPEN, DURATION) else logs_V

    def push(self, token: int, more: float) -> None:
        """Append a token of the encoding."""
        self.tokens.append(token)
        self.more.append(more)
        layout = self._known.layout
        self._kind, value = int(layout.kinds[token]), int(layout.values[token])
        if self._kind == BAR:
            self._begun, self._steps = self._begun + 1, int(layout.bar_steps[value])
        elif self._kind == OPEN:
            self._role = int(layout.owners[token])
        elif self._kind == POSITION:
            self._place = value

    def _ending(self, logs_V: Tensor) -> Tensor:
        """With the probability of all bars and of the end at those that the extent allows."""
        layout, extent = self._known.layout, self._extent
        bars = slice(layout.first_bar, layout.first_bar + len(layout.bar_steps))
        allowed_V = torch.full_like(logs_V, -torch.inf)
        if self._begun >= extent.least:
            allowed_V[END] = logs_V[END]
        if self._begun < (NO_LIMIT if extent.bars is None else extent.bars):
            allowed_V[bars] = logs_V[bars]
            if extent.meter:
                others = [meter != extent.meter for meter in self._known.meters]
                allowed_V[bars][torch.tensor(others, device=logs_V.device)] = -torch.inf
        left = allowed_V.logsumexp(0)
        if left.isneginf():  # another role follows
            return logs_V
        out_V = logs_V.clone()
        out_V[bars] = out_V[END] = -torch.inf
        total = torch.logaddexp(logs_V[bars].logsumexp(0), logs_V[END])
        return torch.logaddexp(out_V, allowed_V + total - left)


class Bounded:
    """A model whose sequences are held to their extents, one for each; all else is the model's."""

    recordable = False

    def __init__(self, model: Any, known: Roles, extents: Sequence[Extent]) -> None:
        self._model, self._known, self._extents = model, known, extents
        self._rows: list[Row] = []
        self._more_BV = torch.zeros(0)

    def __getattr__(self, name: str) -> Any:
        """Of the model."""
        return getattr(self._model, name)

    def start(
        self, batch: int, length: int, fixed: bool = False, given: Given | None = None
    ) -> Any:
        """The model's state before the first token of `batch` pieces, of whole batches alone."""
        assert batch == len(self._extents)
        self._rows = [Row(self._known, extent) for extent in self._extents]
        return self._model.start(batch, length, fixed, given)

    def next_logits(self, state: Any) -> Tensor:
        """Log-probabilities of the next token, (B, V), but for what normalizes them."""
        logs_BV = self._model.next_logits(state).float()
        rows = zip(self._rows, logs_BV, strict=True)
        out_BV = torch.stack([row.bounded(logs_V) for row, logs_V in rows])
        self._more_BV = torch.where(out_BV.isfinite(), out_BV - logs_BV, 0.0)
        return out_BV

    def push(self, state: Any, subtoken_B: Tensor) -> None:
        """Append one token to every sequence."""
        self._model.push(state, subtoken_B)
        more_B = self._more_BV.gather(1, subtoken_B[:, None])[:, 0]
        tokens = zip(subtoken_B.tolist(), more_B.tolist(), strict=True)
        for row, (token, more) in zip(self._rows, tokens, strict=True):
            row.push(token, more)

    def by_model(self, made: Sequence[Made]) -> list[Made]:
        """Pieces with the nats that the model itself asks for them; each is one of an equal number
        of neighbouring sequences.
        """
        found, each = [], len(self._rows) // max(1, len(made))
        for number, piece in enumerate(made):
            assert piece.nats is not None
            tokens = piece.tokens[:, 0].tolist()
            own = self._rows[number * each : (number + 1) * each]
            row = next(row for row in own if row.tokens[: len(tokens)] == tokens)
            more = np.array(row.more[: len(tokens)], np.float32)[:, None]
            found.append(replace(piece, nats=piece.nats + more))
        return found
