"""What the trunk reads: the last position's sub-tokens, how long each lasts, where the bar is."""

# B batch, T positions, W sub-tokens of a position, D width

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.config import StepConfig, TokenShape


class StepInput(nn.Module):
    """The previous position, the clocks and the ages as one vector."""

    offsets_W: Tensor
    age_offsets_W: Tensor

    def __init__(self, config: StepConfig, shape: TokenShape) -> None:
        super().__init__()
        self.periods = config.periods
        stride, width = shape.vocabulary + 1, config.read_width
        self.rows = nn.Embedding(shape.width * stride, width)
        self.register_buffer("offsets_W", torch.arange(shape.width) * stride, persistent=False)
        self.clocks = nn.ModuleList(nn.Embedding(period, width) for period in config.periods)
        self.ages = nn.Embedding(shape.width * (config.ages + 1), width) if config.ages else None
        self.register_buffer(
            "age_offsets_W", torch.arange(shape.width) * (config.ages + 1), persistent=False
        )
        for table in (self.rows, *self.clocks, *([self.ages] if self.ages else [])):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, rows_BTW: Tensor, clock_BT: Tensor, ages_BTW: Tensor | None) -> Tensor:
        """Shape (B, T, D)."""
        x_BTD = self.rows(rows_BTW + self.offsets_W).sum(dim=2)
        for period, table in zip(self.periods, self.clocks, strict=True):
            x_BTD = x_BTD + table(clock_BT % period)
        if self.ages is not None and ages_BTW is not None:
            x_BTD = x_BTD + self.ages(ages_BTW + self.age_offsets_W).sum(dim=2)
        return x_BTD

    def step(self, rows_BW: Tensor, position: int | Tensor, ages_BW: Tensor) -> Tensor:
        """The same for one position, of the same number in all sequences: shape (B, D).

        position: a number, or a tensor (1,).
        """
        x_BD = F.embedding_bag(rows_BW + self.offsets_W, self.rows.weight, mode="sum")
        for period, table in zip(self.periods, self.clocks, strict=True):
            x_BD += row_of(cast(nn.Embedding, table), position % period)
        if self.ages is not None:
            x_BD += F.embedding_bag(ages_BW + self.age_offsets_W, self.ages.weight, mode="sum")
        return x_BD


def row_of(table: nn.Embedding, number: int | Tensor) -> Tensor:
    """A row of a table, (D,), or (1, D) where the number is a tensor (1,)."""
    return table.weight[number] if isinstance(number, int) else table(number)


def running_ages(rows_BTW: Tensor, max_age: int) -> Tensor:
    """For how many positions before this each sub-token has been what it is, up to `max_age`."""
    changed = torch.ones_like(rows_BTW, dtype=torch.bool)
    changed[:, 1:] = rows_BTW[:, 1:] != rows_BTW[:, :-1]
    steps_T1 = torch.arange(rows_BTW.shape[1], device=rows_BTW.device)[:, None]
    last_change = torch.where(changed, steps_T1, 0).cummax(dim=1).values
    return (steps_T1 - last_change).clamp(max=max_age)
