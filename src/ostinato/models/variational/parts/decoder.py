"""The decoder of a segment: rows from left to right, within it voices one after the other.

It is local. Its state begins anew with every segment, and of what was before it sees the last row
and a context vector. In training whole rows and single cells that it would see are hidden, so that
it must take them from the context instead.
"""

# N segments, L places, V voices, D width, H hidden width of a voice, S symbols, M positions,
# P pitches

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.spec import PAD, Voices
from ostinato.models.variational.parts.config import Config
from ostinato.models.variational.parts.intervals import Intervals
from ostinato.models.variational.parts.rows import RowTable

Pick = Callable[[Tensor, int, int], Tensor]  # logits (N, S), place and voice to symbols (N,)


class Led(NamedTuple):
    """What a context says to the rows of a segment: the first state, (N, D), and an addition to
    the input of every place, (N, L, D).
    """

    state: Tensor
    inputs: Tensor


class Decoder(nn.Module):
    """p(cell | rows before it in the segment, voices before it in the row, context)."""

    order_V: Tensor
    back_V: Tensor
    below_VV: Tensor

    def __init__(
        self, config: Config, symbols: int, order: tuple[int, ...], pitches: Voices | None
    ) -> None:
        super().__init__()
        width, hidden, span, voices = config.width, config.voice_hidden, config.span, len(order)
        self.symbols, self.hide, self.span = symbols, config.hide, span
        back = torch.tensor(order).argsort()
        self.register_buffer("order_V", torch.tensor(order), persistent=False)
        self.register_buffer("back_V", back, persistent=False)
        self.rows = RowTable(voices, symbols, width)
        self.place = nn.Embedding(span, width)
        self.left = nn.Embedding(span + 1, width)
        self.to_state = nn.Linear(width, width)
        self.to_inputs = nn.Linear(width, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.to_voices = nn.Linear(width, voices * hidden, bias=False)
        # of each voice: its own cell before, and the voices already chosen
        self.own = nn.ModuleList(RowTable(voices + 1, symbols, hidden) for _ in range(voices))
        self.norm = nn.RMSNorm(hidden)
        self.to_symbols = nn.Linear(hidden, symbols)
        self.to_copy = nn.Linear(hidden, 1)
        self.intervals = Intervals(pitches, order) if pitches else None
        below = torch.ones(voices, voices, dtype=torch.bool).tril(-1)
        self.register_buffer("below_VV", below, persistent=False)
        for table in (self.place, self.left):
            nn.init.normal_(table.weight, std=0.1)

    def lead(self, context_ND: Tensor, length_N: Tensor) -> Led:
        """What a context says to every place of segments of so many rows."""
        places_L = torch.arange(self.span, device=context_ND.device)
        left_NL = (length_N[:, None] - places_L).clamp(min=0)
        inputs = self.to_inputs(context_ND)[:, None] + self.place(places_L) + self.left(left_NL)
        return Led(torch.tanh(self.to_state(context_ND)), inputs)

    def forward(self, cells_NLV: Tensor, before_NV: Tensor, led: Led) -> Tensor:
        """Nats of every cell, (N, L, V), 0 where it is PAD."""
        last_NLV = torch.cat([before_NV[:, None], cells_NLV[:, :-1]], dim=1)
        seen_NLV = cells_NLV
        if self.training and self.hide:
            lost_NL1 = torch.rand(*cells_NLV.shape[:2], 1, device=cells_NLV.device) < self.hide
            last_NLV = last_NLV.masked_fill(lost_NL1, PAD)
            lost_NLV = torch.rand(cells_NLV.shape, device=cells_NLV.device) < self.hide
            seen_NLV = cells_NLV.masked_fill(lost_NLV, PAD)
        y_NLD, _ = self.rnn(self.rows(last_NLV) + led.inputs, led.state[None])
        held_NL = cells_NLV[..., 0] != PAD
        logits_MVS = self.logits(
            y_NLD[held_NL], last_NLV[held_NL], seen_NLV[held_NL], self.tables()
        )
        cells_MV = cells_NLV[held_NL]
        nats_MV = F.cross_entropy(
            logits_MVS.float().flatten(0, 1), cells_MV.flatten(), reduction="none"
        ).view_as(cells_MV)
        out = nats_MV.new_zeros(cells_NLV.shape)
        return out.index_put((held_NL,), nats_MV)

    def step(self, last_NV: Tensor, input_ND: Tensor, state_ND: Tensor) -> tuple[Tensor, Tensor]:
        """One more row: what `logits` needs of it, (N, D), and the next state."""
        x_N1D = (self.rows(last_NV) + input_ND)[:, None]
        y_N1D, state = self.rnn(x_N1D, state_ND[None])
        return y_N1D[:, 0], state[0]

    def write(
        self, led: Led, before_NV: Tensor, kept_NLV: Tensor, length_N: Tensor, pick: Pick
    ) -> Tensor:
        """Cells of segments, (N, L, V), PAD after their last rows.

        kept_NLV: cells that are given, PAD where one is to be picked from its logits, (N, S).
        """
        cells_NLV = kept_NLV.clone()
        state, last_NV, tables = led.state, before_NV, self.tables()
        for place in range(int(length_N.max())):
            y_ND, state = self.step(last_NV, led.inputs[:, place], state)
            row_NV = cells_NLV[:, place]
            for voice in self.order_V.tolist():
                free_N = (row_NV[:, voice] == PAD) & (place < length_N)
                if free_N.any():
                    logits_NS = self.logits(y_ND, last_NV, row_NV, tables)[:, voice]
                    picked_N = pick(logits_NS, place, voice)
                    row_NV[:, voice] = torch.where(free_N, picked_N, row_NV[:, voice])
            last_NV = row_NV
        return cells_NLV

    def tables(self) -> Tensor | None:
        """What `logits` needs of the intervals, the same for all rows."""
        return None if self.intervals is None else self.intervals.rows()

    def logits(
        self, y_MD: Tensor, last_MV: Tensor, seen_MV: Tensor, tables: Tensor | None
    ) -> Tensor:
        """Of every voice, (M, V, S), given the row before and the voices chosen before it.

        seen_MV: the row; a voice sees only those that are chosen before it. tables: of `tables`.
        """
        voices, last_MV = last_MV.shape[1], last_MV[:, self.order_V]
        beside_MVV = torch.where(self.below_VV, seen_MV[:, None, self.order_V], PAD)
        own = [
            table(torch.cat([last_MV[:, voice, None], beside_MVV[:, voice]], dim=1))
            for voice, table in enumerate(self.own)
        ]
        y_MVH = self.to_voices(y_MD).unflatten(1, (voices, -1)) + torch.stack(own, dim=1)
        y_MVH = F.silu(self.norm(y_MVH))
        logits = F.pad(self.to_symbols(y_MVH), (0, 1))  # the last one: the cell before is unknown
        index = torch.where(last_MV == PAD, self.symbols, last_MV)[..., None]
        logits = logits.scatter_add(2, index, self.to_copy(y_MVH).to(logits.dtype))[..., :-1]
        if self.intervals is not None and tables is not None:
            fits = self.intervals(tables, last_MV, beside_MVV)
            lowest, pitches = self.intervals.lowest, self.intervals.pitches
            logits = logits + F.pad(fits, (lowest, self.symbols - lowest - pitches))
        return logits[:, self.back_V]
