"""Finds what followed the last passage when it occurred before: an input for repetitive music.

For position t, the longest match is searched: the earlier place where the previous n positions were
the same as the last n before t, for the largest n (n counts up to LONGEST and is rounded down to a
power of two; of equal matches the most recent is taken). The model then sees the position that
followed the match. This makes exact repetition easy to learn, also for a recurrent model, which
would otherwise have to remember every bar. Exact-match prediction is known from LZ77 and from the
factor oracle (Assayag & Dubnov 2004). Causal: the match for position t ends before t.
"""

# B batch, T positions, W sub-tokens, R reach, D width

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

LONGEST = 32
LEVELS = LONGEST.bit_length()  # matches of 1, 2-3, 4-7, … 32 or more positions
NOTHING = -2  # equals no sub-token


class Repetition(NamedTuple):
    """Best match of every position.

    rows: the row that followed the match, shape (…, W); blank where nothing matches.
    level: 0: no match, 1: a match of one position, up to LEVELS: one of LONGEST or more.
    distance: how many positions ago the match was.
    """

    rows: Tensor
    level: Tensor
    distance: Tensor


@dataclass
class Memory:
    """State of `next_repetition`.

    rows_BRW: the last R rows, newest first. runs_BR: at index r, for how many positions the music
    has been equal to the music r + 1 positions before.
    """

    rows_BRW: Tensor
    runs_BR: Tensor

    def select(self, index_B: Tensor) -> None:
        """Keep these sequences, in this order; an index may occur twice."""
        self.rows_BRW = self.rows_BRW.index_select(0, index_B)
        self.runs_BR = self.runs_BR.index_select(0, index_B)


def find_repetitions(rows_BTW: Tensor, reach: int, blank: int) -> Repetition:
    """Matches of whole sequences; O(T R) in time and memory."""
    B, T, W = rows_BTW.shape
    reach = min(reach, max(T - 1, 1))
    padded = nn.functional.pad(rows_BTW, (0, 0, reach, 0), value=NOTHING)
    earlier_BRWT = padded[:, :-1].unfold(1, T, 1).flip(1)  # at [r, t]: the row at t - (r + 1)
    differs_BRT = (earlier_BRWT != rows_BTW.transpose(1, 2)[:, None]).any(dim=2)
    steps_T = torch.arange(1, T + 1, device=rows_BTW.device, dtype=torch.int32)
    runs_BRT = steps_T - torch.where(differs_BRT, steps_T, 0).cummax(dim=2).values
    level_BT, distance_BT = _best(runs_BRT.transpose(1, 2))
    source_BT = (steps_T - distance_BT).clamp(min=0)  # steps_T counts from 1: the row after
    followed = rows_BTW.gather(1, source_BT[:, :, None].long().expand(B, T, W))
    return Repetition(torch.where(level_BT[:, :, None] > 0, followed, blank), level_BT, distance_BT)


def empty_memory(batch: int, reach: int, width: int, device: torch.device) -> Memory:
    """The state before the first position."""
    rows = torch.full((batch, reach, width), NOTHING, device=device)
    return Memory(rows, torch.zeros((batch, reach), dtype=torch.int32, device=device))


def next_repetition(row_BW: Tensor, memory: Memory, blank: int) -> Repetition:
    """The match for one more position, which is added to `memory`: `find_repetitions` in steps."""
    same_BR = (memory.rows_BRW == row_BW[:, None]).all(dim=2)
    memory.runs_BR = torch.where(same_BR, memory.runs_BR + 1, 0)
    level_B, distance_B = _best(memory.runs_BR)
    memory.rows_BRW = torch.cat([row_BW[:, None], memory.rows_BRW[:, :-1]], dim=1)
    place_B11 = (distance_B - 1).long()[:, None, None]
    followed_BW = memory.rows_BRW.gather(1, place_B11.expand(-1, 1, row_BW.shape[1]))[:, 0]
    return Repetition(torch.where(level_B[:, None] > 0, followed_BW, blank), level_B, distance_B)


def _best(runs: Tensor) -> tuple[Tensor, Tensor]:
    """Level and distance of the best match, from runs of shape (…, R)."""
    reach = runs.shape[-1]
    level = torch.frexp(runs.clamp(max=LONGEST).float()).exponent  # bits that the number takes
    nearness = torch.arange(reach, 0, -1, dtype=torch.int32, device=runs.device)
    best = (level * (reach + 1) + nearness).amax(dim=-1)
    return best // (reach + 1), reach + 1 - best % (reach + 1)


class RepetitionInput(nn.Module):
    """Embeds a match: its row, its level, and whether its distance is a multiple of `period`."""

    offsets_W: Tensor

    def __init__(self, width: int, row: int, vocabulary: int, period: int) -> None:
        super().__init__()
        self.period = period
        stride = vocabulary + 1
        self.rows = nn.Embedding(row * stride, width)
        self.levels = nn.Embedding(2 * (LEVELS + 1), width)
        self.register_buffer("offsets_W", torch.arange(row) * stride, persistent=False)
        for table in (self.rows, self.levels):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, match: Repetition) -> Tensor:
        """Shape (…, D)."""
        aligned = (match.distance % self.period == 0).long()
        return self.rows(match.rows + self.offsets_W).sum(dim=-2) + self.levels(
            2 * match.level.long() + aligned
        )
