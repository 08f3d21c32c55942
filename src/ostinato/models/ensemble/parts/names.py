"""Which roles play: named one by one before the first bar, each with a probability of its own."""

# B batch, T positions, R roles, D width

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.ensemble.parts.layout import BAR, END, WITH, Layout
from ostinato.models.ensemble.parts.reading import Reading, header

SCALE = 8.0  # of the logits: only crops with a piece's beginning teach them, so they learn faster


class Names(nn.Module):
    """p(roles) = Π p(role plays or not) / p(any plays), given the conditions."""

    def __init__(self, roles: int, width: int) -> None:
        super().__init__()
        self.plays = nn.Linear(width, roles)
        nn.init.zeros_(self.plays.weight)

    def steps(self, condition_BD: Tensor) -> Tensor:
        """Nats of what may follow, (B, R + 1, R + 1).

        Row 0: nothing is named yet; row r + 1: role r was the last. Column 0: the first bar; column
        r + 1: role r. Columns that may not follow have no meaning.
        """
        logits_BR = SCALE * self.plays(condition_BD)
        silent = F.pad(F.softplus(logits_BR).cumsum(dim=1), (1, 0))  # no role before r, (B, R + 1)
        end = silent[:, None, -1:] - silent[:, :, None]
        more = silent[:, None, :-1] - silent[:, :, None] + F.softplus(-logits_BR)[:, None]
        table = torch.cat([end, more], dim=2)
        any_B11 = torch.log1p(-torch.exp(-silent[:, -1]))[:, None, None]
        return torch.cat([table[:, :1] + any_B11, table[:, 1:]], dim=1)

    def nats(self, layout: Layout, reading: Reading, condition_BD: Tensor) -> Tensor:
        """Nats of the tokens after the first that name a role or end the naming, (B, T)."""
        table = self.steps(condition_BD)
        before, after = reading.tokens[:, :-1], reading.tokens[:, 1:]
        kinds = layout.kinds[after]
        follows = (kinds == WITH) | (kinds == BAR) | (kinds == END)
        named = header(reading.kinds[:, :-1]) & follows
        last = torch.where(layout.kinds[before] == WITH, layout.roles[before] + 1, 0)
        following = torch.where(kinds == WITH, layout.roles[after] + 1, 0)
        rows = torch.arange(len(before), device=before.device)[:, None]
        return torch.where(named, table[rows, last, following], 0.0)
