"""Input of the trunk: the last position's sub-tokens, how long each has been held, the clocks."""

# B batch, T positions, W sub-tokens of a position, D width

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.config import StepConfig
from ostinato.models.spec import ArraySpec


class StepInput(nn.Module):
    """Embeds the previous position, the clocks, and how long each sub-token has been held."""

    offsets_W: Tensor
    held_offsets_W: Tensor

    def __init__(self, config: StepConfig, shape: ArraySpec) -> None:
        super().__init__()
        self.periods = config.periods
        stride, width = shape.vocabulary + 1, config.read_width
        self.rows = nn.Embedding(shape.width * stride, width)
        self.register_buffer("offsets_W", torch.arange(shape.width) * stride, persistent=False)
        self.clocks = nn.ModuleList(nn.Embedding(period, width) for period in config.periods)
        held = shape.width * (config.held_steps + 1)
        self.ages = nn.Embedding(held, width) if config.held_steps else None
        self.register_buffer(
            "held_offsets_W", torch.arange(shape.width) * (config.held_steps + 1), persistent=False
        )
        for table in (self.rows, *self.clocks, *([self.ages] if self.ages else [])):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, rows_BTW: Tensor, clock_BT: Tensor, held_BTW: Tensor | None) -> Tensor:
        """Shape (B, T, D)."""
        x_BTD = self.rows(rows_BTW + self.offsets_W).sum(dim=2)
        for period, table in zip(self.periods, self.clocks, strict=True):
            x_BTD = x_BTD + table(clock_BT % period)
        if self.ages is not None and held_BTW is not None:
            x_BTD = x_BTD + self.ages(held_BTW + self.held_offsets_W).sum(dim=2)
        return x_BTD

    def step(self, rows_BW: Tensor, position: int | Tensor, held_BW: Tensor) -> Tensor:
        """The same for one position: shape (B, D).

        position: the same for all sequences: a number, or a tensor (1,).
        """
        x_BD = F.embedding_bag(rows_BW + self.offsets_W, self.rows.weight, mode="sum")
        for period, table in zip(self.periods, self.clocks, strict=True):
            x_BD += row_of(cast(nn.Embedding, table), position % period)
        if self.ages is not None:
            x_BD += F.embedding_bag(held_BW + self.held_offsets_W, self.ages.weight, mode="sum")
        return x_BD


def row_of(table: nn.Embedding, number: int | Tensor) -> Tensor:
    """A row of a table, (D,), or (1, D) if the number is a tensor (1,)."""
    return table.weight[number] if isinstance(number, int) else table(number)


def running_held(rows_BTW: Tensor, max_held: int) -> Tensor:
    """Number of steps for which each sub-token has been held, up to `max_held`."""
    changed = torch.ones_like(rows_BTW, dtype=torch.bool)
    changed[:, 1:] = rows_BTW[:, 1:] != rows_BTW[:, :-1]
    steps_T1 = torch.arange(rows_BTW.shape[1], device=rows_BTW.device)[:, None]
    last_change = torch.where(changed, steps_T1, 0).cummax(dim=1).values
    return (steps_T1 - last_change).clamp(max=max_held)
