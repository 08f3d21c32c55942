"""Reads what the tokens of roles and bars mean off their times.

The order of the tokens is part of the representation `roles`: the end; a token for each role that
plays; bars, which name their meters; then a block for each role: the token that opens its part of
a bar, W positions, W durations, and pitches, where W is the number of steps of the longest bar.
"""

# V vocabulary, R roles, M meters, W steps of the longest bar

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ostinato.models.spec import ArraySpec

END, WITH, BAR, OPEN, POSITION, DURATION, PITCH, NOTHING = range(8)
CLOSE = 0  # among a role's own symbols: its part of the bar is over; as an input, one begins


@dataclass(frozen=True)
class Block:
    """The tokens of a role: `opens`, its positions and durations, then `pitches` pitches."""

    opens: int
    pitches: int
    size: int


class Layout(nn.Module):
    """Tables over the vocabulary and, as the last entry, "no token".

    kinds: END to NOTHING. roles: the role of a token, -1 for bars and the end. values: number of a
    meter, step of a position, steps of a duration, number of a pitch within its register.
    symbols: number within the block of its role.
    """

    kinds: Tensor
    roles: Tensor
    values: Tensor
    symbols: Tensor
    meters_M: Tensor

    def __init__(self, spec: ArraySpec) -> None:
        super().__init__()
        timing = spec.timing
        if timing is None or spec.width != 1 or 1 not in timing.bar:
            raise ValueError(REFUSAL)
        size, place = spec.vocabulary, timing.place
        self.vocabulary, self.first_bar = size, timing.bar.index(1)
        self.meters, self.longest = sum(timing.bar), max(timing.meter)
        first, count, widest = self.first_bar + self.meters, self.first_bar - 1, self.longest
        opens = [v for v in range(first, size - 1) if place[v] == place[v + 1] == 0]
        if not opens:
            raise ValueError(REFUSAL)
        self.blocks = [
            Block(a, b - a - 1 - 2 * widest, b - a)
            for a, b in zip(opens, [*opens[1:], size], strict=True)
        ]
        steps = tuple(range(widest))
        regular = all(place[a + 1 : a + 1 + widest] == steps for a in opens)
        if len(opens) != count or not regular or any(b.pitches < 1 for b in self.blocks):
            raise ValueError(REFUSAL)
        kinds = torch.full((size + 1,), NOTHING)
        roles, values, symbols = kinds - NOTHING - 1, kinds - NOTHING, kinds - NOTHING
        kinds[0], kinds[1 : count + 1], kinds[self.first_bar : first] = END, WITH, BAR
        roles[1 : count + 1] = values[1 : count + 1] = torch.arange(count)
        values[self.first_bar : first] = torch.arange(self.meters)
        for role, block in enumerate(self.blocks):
            a = block.opens
            roles[a : a + block.size], symbols[a : a + block.size] = role, torch.arange(block.size)
            kinds[a], kinds[a + 1 : a + 1 + widest] = OPEN, POSITION
            values[a + 1 : a + 1 + widest] = torch.arange(widest)
            kinds[a + 1 + widest : a + 1 + 2 * widest] = DURATION
            values[a + 1 + widest : a + 1 + 2 * widest] = torch.arange(1, widest + 1)
            kinds[a + 1 + 2 * widest : a + block.size] = PITCH
            values[a + 1 + 2 * widest : a + block.size] = torch.arange(block.pitches)
        for name, table in zip(
            ("kinds", "roles", "values", "symbols"), (kinds, roles, values, symbols), strict=True
        ):
            self.register_buffer(name, table, persistent=False)
        lengths = torch.tensor(timing.meter[self.first_bar : first])
        self.register_buffer("meters_M", lengths, persistent=False)

    @property
    def pitches(self) -> int:
        """The widest register."""
        return max(block.pitches for block in self.blocks)


REFUSAL = (
    "this family reads roles and bars: choose an encoding of a representation of the kind roles, "
    "such as roles_choir"
)
