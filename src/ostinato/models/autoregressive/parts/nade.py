"""Input and chain for positions of many binary sub-tokens, such as the keys of a piano roll.

With a vocabulary of two, embedding tables become matrices that are multiplied by rows of zeros and
ones. The chain is a NADE (Larochelle & Murray 2011) conditioned on the trunk, as in RNN-NADE
(Boulanger-Lewandowski et al. 2012). Its hidden layer changes only after keys that are on, so it is
computed once per key that is on instead of once per key: 1/20 of the memory for music.
"""

# B batch, T positions, N = B * T, W keys of a position, D width, H hidden width, S keys on, at most

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.step_input import row_of

ON = 1
KEYS_ON = 0.04  # initial probability: in music 3.5 of 88 keys sound in a frame


class BinaryInput(nn.Module):
    """Embeds the previous position and the clocks; held steps are not supported."""

    def __init__(self, keys: int, width: int, periods: Sequence[int], held_steps: int) -> None:
        super().__init__()
        if held_steps:
            raise ValueError(
                f"held_steps={held_steps} is not supported for keys that are off or on: "
                "leave held_steps at 0"
            )
        self.periods = tuple(periods)
        self.keys_WD = nn.Parameter(torch.randn(keys, width) * 0.1)
        self.before_D = nn.Parameter(torch.randn(width) * 0.1)  # "before the piece"
        self.clocks = nn.ModuleList(nn.Embedding(period, width) for period in self.periods)
        for table in self.clocks:
            nn.init.normal_(cast(nn.Embedding, table).weight, std=0.1)

    def forward(self, rows_BTW: Tensor, clock_BT: Tensor, held_BTW: Tensor | None) -> Tensor:
        """Shape (B, T, D)."""
        x_BTD = self._rows(rows_BTW)
        for period, table in zip(self.periods, self.clocks, strict=True):
            x_BTD = x_BTD + table(clock_BT % period)
        return x_BTD

    def step(self, rows_BW: Tensor, position: int | Tensor, held_BW: Tensor) -> Tensor:
        """The same for one position: shape (B, D)."""
        x_BD = self._rows(rows_BW)
        for period, table in zip(self.periods, self.clocks, strict=True):
            x_BD = x_BD + row_of(cast(nn.Embedding, table), position % period)
        return x_BD

    def _rows(self, rows: Tensor) -> Tensor:
        nothing = (rows[..., :1] > ON).to(self.keys_WD.dtype)
        return _is_on(rows, self.keys_WD) @ self.keys_WD + nothing * self.before_D


class BinaryChain(nn.Module):
    """Predicts the keys of a position in order, each from the trunk and the earlier keys.

    hidden_k = gelu(P context + Q previous + Σ_{j before k, on} E_j)
    logit_k = U_k hidden_k + V_k context + b_k, the log odds of key k being on.
    """

    order_W: Tensor
    place_W: Tensor

    def __init__(self, keys: int, width: int, hidden: int, order: Sequence[int]) -> None:
        super().__init__()
        if not hidden:
            raise ValueError(
                f"voice_hidden=0 predicts one sub-token only, the representation has {keys}"
            )
        self.hidden, self.order = hidden, tuple(order)
        self.project = nn.Linear(width, hidden)
        self.previous_WH = nn.Parameter(torch.randn(keys, hidden) * 0.05)
        self.chosen_WH = nn.Parameter(torch.randn(keys, hidden) * 0.05)
        self.out_HW = nn.Parameter(torch.randn(hidden, keys) * hidden**-0.5)
        self.direct = nn.Linear(width, keys)
        nn.init.constant_(self.direct.bias, math.log(KEYS_ON / (1 - KEYS_ON)))
        order_W = torch.tensor(self.order)
        self.register_buffer("order_W", order_W, persistent=False)
        self.register_buffer("place_W", torch.argsort(order_W), persistent=False)

    def forward(self, context_BTD: Tensor, previous_BTW: Tensor, targets_BTW: Tensor) -> Tensor:
        """Logits of shape (B, T, W, 2), with the true keys as those already chosen."""
        W = targets_BTW.shape[-1]
        opened = self.open(context_BTD, previous_BTW).flatten(0, 1)
        first_NH, direct_NW = torch.split(opened, [self.hidden, W], dim=1)
        on_NW = targets_BTW.reshape(-1, W)[:, self.order_W] == ON
        before_NW = on_NW.cumsum(dim=1) - on_NW.long()
        hidden_NSH = first_NH[:, None] + self._seen(on_NW)
        logits_NSW = F.gelu(hidden_NSH) @ self.out_HW
        by_key_N1W = before_NW[:, None, self.place_W]
        logits_NW = logits_NSW.gather(1, by_key_N1W)[:, 0] + direct_NW
        return F.pad(logits_NW[..., None], (1, 0)).view(*targets_BTW.shape, 2)

    def _seen(self, on_NW: Tensor) -> Tensor:
        """Contribution to the hidden layer of the first 0, 1, 2 … keys of a row that are on."""
        counts_N1 = on_NW.sum(dim=1, keepdim=True)
        most = int(counts_N1.max())
        places_NS = torch.argsort(on_NW.byte(), dim=1, descending=True, stable=True)[:, :most]
        there_NS = torch.arange(most, device=on_NW.device) < counts_N1
        each_NSH = F.embedding(self.order_W[places_NS], self.chosen_WH) * there_NS[..., None]
        return F.pad(each_NSH.cumsum(dim=1), (0, 0, 1, 0))

    def open(self, context: Tensor, previous: Tensor) -> Tensor:
        """State before the first key, (…, H + W): hidden sums, and logits from the trunk."""
        hidden = self.project(context) + _is_on(previous, self.previous_WH) @ self.previous_WH
        return torch.cat([hidden, self.direct(context)], dim=-1)

    def choose(self, opened_BX: Tensor, column: int, subtoken_B: Tensor) -> None:
        """Add the key chosen for `column` to the hidden sums, in place."""
        opened_BX[:, : self.hidden] += (subtoken_B == ON)[:, None] * self.chosen_WH[column]

    def step(self, opened_BX: Tensor, filled: int) -> Tensor:
        """Logits of the next key, (B, 2)."""
        column = self.order[filled]
        active_BH = F.gelu(opened_BX[:, : self.hidden])
        logit_B = active_BH @ self.out_HW[:, column] + opened_BX[:, self.hidden + column]
        return F.pad(logit_B[:, None], (1, 0))


def _is_on(rows: Tensor, like: Tensor) -> Tensor:
    """1.0 if a key is on, 0.0 if it is off or before the piece."""
    return (rows == ON).to(like.dtype)
