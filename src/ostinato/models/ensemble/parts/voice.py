"""A generator of one role, or the coordinator: a transformer of the autoregressive paradigm, used
through `Given`.
"""

# B batch, T own symbols, D width, V own vocabulary

import copy
from typing import Any

from torch import Tensor, nn

from ostinato.models.autoregressive import gpt
from ostinato.models.spec import PAD, ArraySpec, Given


class Voice(nn.Module):
    """Predicts symbols from those before and from a memory of each position.

    The trunk reads the embedding of the last symbol plus the memory (`Given.memory_BSD`, S = T).
    """

    def __init__(self, config: gpt.Config, vocabulary: int) -> None:
        super().__init__()
        # a vocabulary of two would be keys that are off or on; the third symbol has no chance
        self.body = gpt.Model(config, ArraySpec(width=1, vocabulary=max(vocabulary, 3)))
        self.vocabulary = vocabulary

    def contexts(self, inputs_BT: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """The trunk's outputs, (B, T, D), and its rows, (B, T, 1)."""
        rows = inputs_BT.masked_fill(inputs_BT == PAD, max(self.vocabulary, 3))[..., None]
        x_BTD = self.body.step_input(rows, inputs_BT, None)
        if given.memory_BSD is not None:
            x_BTD = x_BTD + given.memory_BSD
        return self.body.trunk(x_BTD, rows), rows

    def logits(self, context_BTD: Tensor, rows_BT1: Tensor) -> Tensor:
        """Of the symbol after every position, (B, T, V)."""
        logits: Tensor = self.body.chain(context_BTD, rows_BT1, rows_BT1)[:, :, 0]
        return logits[..., : self.vocabulary]

    def begin(self, length: int) -> Any:
        """The cache of one sequence of about `length` symbols."""
        return self.body.trunk_cache(1, length)

    def copy(self, cache: Any) -> Any:
        """A cache of its own with the same past."""
        other = copy.copy(cache)
        other.ring = copy.copy(cache.ring)
        other.ring.kept = cache.ring.kept.clone()
        return other

    def step(self, symbol_B: Tensor, memory_BD: Tensor, cache: Any) -> tuple[Tensor, Tensor]:
        """The trunk's output for one more symbol, (1, D), and logits of the next one, (1, V)."""
        rows = symbol_B.masked_fill(symbol_B == PAD, max(self.vocabulary, 3))[:, None]
        x_BD = self.body.step_input.step(rows, 0, rows) + memory_BD
        context_BD = self.body.trunk_step(x_BD, rows, cache)
        logits_BV = self.body.chain.step(self.body.chain.open(context_BD, rows), 0)
        return context_BD, logits_BV[:, : self.vocabulary].float()
