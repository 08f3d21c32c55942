"""Music repeats itself: what came next when the passage just heard was heard before.

Of all earlier places where the last n positions were the same, the one with the largest n is taken
(n counted up to LONGEST and told apart by its power of two; of equals, the nearest), and the model
is told which position followed there. A copy is then one glance away, for a recurrent model too,
which else would have to remember every bar. The idea of an exact-match predictor is that of LZ77
and of the factor oracle (Assayag & Dubnov 2004). Only the past enters: position t is told what
followed a match that ends before t.
"""

# B batch, T positions, W sub-tokens, R reach, D width

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

LONGEST = 32
LEVELS = LONGEST.bit_length()  # matches of 1, 2-3, 4-7, … 32 or more positions
NOTHING = -2  # equals no sub-token


class Echo(NamedTuple):
    """For every position: the row that followed the best match, shape (…, W); its level, 0 where
    nothing matches (the row is then blank), 1 for one position, LEVELS for LONGEST; its distance.
    """

    rows: Tensor
    level: Tensor
    distance: Tensor


@dataclass
class Memory:
    """What `Echoes.step` keeps: the last R rows, newest first, (B, R, W), and for how many
    positions the music has equalled what was 1 to R positions before, (B, R).
    """

    rows_BRW: Tensor
    runs_BR: Tensor

    def select(self, index_B: Tensor) -> None:
        """Go on with these of the sequences."""
        self.rows_BRW = self.rows_BRW.index_select(0, index_B)
        self.runs_BR = self.runs_BR.index_select(0, index_B)


def find_echoes(rows_BTW: Tensor, reach: int, blank: int) -> Echo:
    """Echoes of whole sequences; O(T R) in time and memory."""
    B, T, W = rows_BTW.shape
    reach = min(reach, max(T - 1, 1))
    padded = nn.functional.pad(rows_BTW, (0, 0, reach, 0), value=NOTHING)
    earlier_BRWT = padded[:, :-1].unfold(1, T, 1).flip(1)  # at [r, t]: the row at t - (r + 1)
    differs_BRT = (earlier_BRWT != rows_BTW.transpose(1, 2)[:, None]).any(dim=2)
    steps_T = torch.arange(1, T + 1, device=rows_BTW.device, dtype=torch.int32)
    runs_BRT = steps_T - torch.where(differs_BRT, steps_T, 0).cummax(dim=2).values
    level_BT, distance_BT = _best(runs_BRT.transpose(1, 2))
    source_BT = (steps_T - distance_BT).clamp(min=0)  # steps_T counts from 1: the row after
    echoed = rows_BTW.gather(1, source_BT[:, :, None].long().expand(B, T, W))
    return Echo(torch.where(level_BT[:, :, None] > 0, echoed, blank), level_BT, distance_BT)


def empty_memory(batch: int, reach: int, width: int, device: torch.device) -> Memory:
    """Nothing heard yet."""
    rows = torch.full((batch, reach, width), NOTHING, device=device)
    return Memory(rows, torch.zeros((batch, reach), dtype=torch.int32, device=device))


def next_echo(row_BW: Tensor, memory: Memory, blank: int) -> Echo:
    """The echo at one more position, which is then remembered: `find_echoes`, step by step."""
    same_BR = (memory.rows_BRW == row_BW[:, None]).all(dim=2)
    memory.runs_BR = torch.where(same_BR, memory.runs_BR + 1, 0)
    level_B, distance_B = _best(memory.runs_BR)
    memory.rows_BRW = torch.cat([row_BW[:, None], memory.rows_BRW[:, :-1]], dim=1)
    place_B11 = (distance_B - 1).long()[:, None, None]
    echoed_BW = memory.rows_BRW.gather(1, place_B11.expand(-1, 1, row_BW.shape[1]))[:, 0]
    return Echo(torch.where(level_B[:, None] > 0, echoed_BW, blank), level_B, distance_B)


def _best(runs: Tensor) -> tuple[Tensor, Tensor]:
    """Level and distance of the best match, from runs of shape (…, R)."""
    reach = runs.shape[-1]
    level = torch.frexp(runs.clamp(max=LONGEST).float()).exponent  # bits that the number takes
    nearness = torch.arange(reach, 0, -1, dtype=torch.int32, device=runs.device)
    best = (level * (reach + 1) + nearness).amax(dim=-1)
    return best // (reach + 1), reach + 1 - best % (reach + 1)


class EchoInput(nn.Module):
    """An echo as one vector: its row, and its level by whether it lies whole `period`s back."""

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

    def forward(self, echo: Echo) -> Tensor:
        """Shape (…, D)."""
        aligned = (echo.distance % self.period == 0).long()
        return self.rows(echo.rows + self.offsets_W).sum(dim=-2) + self.levels(
            2 * echo.level.long() + aligned
        )
