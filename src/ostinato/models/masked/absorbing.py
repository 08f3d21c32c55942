"""Absorbing-state discrete diffusion over the cells of a grid, which is order-agnostic
autoregression: three names of one objective.

Some cells of a piece are hidden; the model says what each of them may be, given the others. With a
share of hidden cells drawn uniformly and the mean nats of a hidden cell, times the number of cells,
one gets, in expectation, the nats of a piece when its cells are revealed in a random order: a bound
on its likelihood (Uria 2014; Hoogeboom 2022, eq. 5 and 6). It equals the bound of D3PM with an
absorbing state (Austin 2021, appendix A.3) and of MDLM (Sahoo 2024, eq. 10) for any schedule, and
the training objective of Coconet (Huang 2017) up to its weights.

Every cell is shown the nearest known cells of its own voice, and the output can copy them. Tables
of intervals to known pitches, the same in every key, add to the logits (parts/intervals.py). Bar
lines and the end have an exact distribution of their own (layers/bar_lines.py); the voices are
filled given them.
"""

# B batch, T positions, W voices, S symbols of a voice, D width, H hidden width, M hidden cells

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.grids.parts.voices import GridConfig, GridModel
from ostinato.models.masked.parts.intervals import Intervals
from ostinato.models.masked.parts.neighbors import FARTHEST, Neighbors, nearest
from ostinato.models.masked.parts.relative import Relative
from ostinato.models.masked.parts.trunk import Trunk
from ostinato.models.spec import PAD, ArraySpec, Given


@dataclass(frozen=True, kw_only=True)
class Config(GridConfig):
    """Settings of the family, besides those of GridConfig.

    width: D. voice_hidden: H, of the predictor of a cell. context: how many steps away a position
    sees others. expansion: inner width of a feed-forward, in widths. blocks: of so many pieces one
    is hidden in blocks in training, as for filling gaps (parts/blocks.py); 0: none, which learns
    the bound alone. skew: above 1, training draws more crops with much hidden and weighs them less,
    which keeps the objective and lowers its variance. relative: the network also sees and says
    intervals to known pitches (parts/relative.py).
    """

    width: int = 160
    voice_hidden: int = 96
    layers: int = 4
    heads: int = 4
    context: int = 128
    expansion: int = 4
    blocks: int = 4
    skew: float = 1.0
    relative: bool = False

    def __post_init__(self) -> None:
        GridConfig.__post_init__(self)
        self.check_at_least(1, "layers", "heads", "expansion", "context", "voice_hidden")
        if self.width % (2 * self.heads):
            raise ValueError(f"width={self.width} must be a multiple of twice heads={self.heads}")
        if self.blocks < 0:
            raise ValueError(f"blocks={self.blocks} cannot be negative; 0: none")
        if self.skew < 1:
            raise ValueError(f"skew={self.skew} must be at least 1")


class Seen(NamedTuple):
    """Symbols of the cells, or that they are hidden; which are known; the nearest known ones."""

    shown_BTW: Tensor
    known_BTW: Tensor
    around: Neighbors


class Model(GridModel):
    """p(hidden cell | known cells, bar lines, conditions)."""

    makes = "family absorbing fills cells"
    config: Config

    def __init__(self, config: Config, spec: ArraySpec) -> None:
        super().__init__(config, spec)
        count, width, hidden = len(self.columns_V), config.width, config.voice_hidden
        self.clock = nn.Embedding(self.place_count, width)
        self.cells = CellTable(count, self.symbols, width)
        self.own = CellTable(count, self.symbols, hidden)
        self.conditioning = self.condition_on(width)
        self.trunk = Trunk(
            width,
            layers=config.layers,
            heads=config.heads,
            context=config.context,
            expansion=config.expansion,
            dropout=config.dropout,
        )
        self.to_voices = nn.Linear(width, count * hidden, bias=False)
        self.norm = nn.RMSNorm(hidden)
        self.to_symbols = nn.Linear(hidden, self.symbols)
        self.to_copies = nn.Linear(hidden, 2)
        self.intervals = Intervals(spec.voices) if spec.voices else None
        self.relative = (
            Relative(spec.voices, width, hidden) if config.relative and spec.voices else None
        )
        nn.init.normal_(self.clock.weight, std=0.1)

    def logits(
        self, rows_BTW: Tensor, hidden_BTW: Tensor, start_B: Tensor, given: Given | None = None
    ) -> Tensor:
        """Logits of the hidden cells, (M, S), in the order of `hidden_BTW.nonzero()`.

        Args:
            rows_BTW: rows of the encoding; what hidden cells hold does not matter.
            hidden_BTW: which voices' cells are hidden. start_B: steps before the first row.
        """
        seen = self.seen(rows_BTW, hidden_BTW)
        return self.cell_logits(self.trunk_out(rows_BTW, seen, start_B, given), seen, hidden_BTW)

    def seen(self, rows_BTW: Tensor, hidden_BTW: Tensor) -> Seen:
        """The known cells of the voices, and the nearest of them around every cell."""
        cells_BTW = rows_BTW[..., self.columns_V]
        known_BTW = ~hidden_BTW & (cells_BTW != PAD)
        shown_BTW = torch.where(known_BTW, cells_BTW, self.symbols)
        return Seen(shown_BTW, known_BTW, nearest(shown_BTW, known_BTW, self.symbols))

    def trunk_out(
        self, rows_BTW: Tensor, seen: Seen, start_B: Tensor, given: Given | None = None
    ) -> Tensor:
        """What the trunk says of every cell, (B, T, W, H)."""
        x_BTD = self.cells(seen.shown_BTW, seen.around).sum(dim=2)
        if self.relative:
            x_BTD = x_BTD + self.relative.trunk_input(self.relative.told(*seen))
        x_BTD = self.conditioned(x_BTD + self.clock(self.places(rows_BTW, start_B)), given)
        y_BTD = self.trunk(x_BTD, rows_BTW[..., 0] != PAD)
        return self.to_voices(y_BTD).unflatten(-1, (len(self.columns_V), -1))

    def cell_logits(self, y_BTWH: Tensor, seen: Seen, chosen_BTW: Tensor) -> Tensor:
        """Logits of chosen hidden cells, (M, S), given what is seen.

        y_BTWH: of the trunk, which may have seen less: then what has been revealed since acts
        through neighbors and intervals alone.
        """
        own_MH = self.own(seen.shown_BTW, seen.around, chosen_BTW)
        told = self.relative.told(*seen) if self.relative else None
        if self.relative and told:
            own_MH = own_MH + self.relative.cell_input(told, chosen_BTW)
        y_MH = F.silu(self.norm(y_BTWH[chosen_BTW] + own_MH))
        logits_MS = self._with_copies(y_MH, seen.around, chosen_BTW)
        if self.intervals is None:
            return logits_MS
        fits_MP = self.intervals(*seen, chosen_BTW)
        if self.relative and told:
            fits_MP = fits_MP + self.relative(y_MH, told, chosen_BTW)
        lowest, pitches = self.intervals.lowest, self.intervals.pitches
        return logits_MS + F.pad(fits_MP, (lowest, self.symbols - lowest - pitches))

    def _with_copies(self, y_MH: Tensor, around: Neighbors, hidden_BTW: Tensor) -> Tensor:
        """Logits with a gate for each neighbor, which adds to its symbol."""
        logits_MS = F.pad(self.to_symbols(y_MH), (0, 1))  # the last one: no neighbor is known
        gates_M2 = self.to_copies(y_MH)
        for gate_M, symbols in zip(gates_M2.unbind(1), (around.before, around.after), strict=True):
            index_M1 = symbols[hidden_BTW][:, None]
            logits_MS = logits_MS.scatter_add(1, index_M1, gate_M[:, None].to(logits_MS.dtype))
        return logits_MS[:, :-1]

    def nats(
        self, rows_BTW: Tensor, hidden_BTW: Tensor, start_B: Tensor, given: Given | None = None
    ) -> Tensor:
        """Nats of the hidden cells, each given the known ones, (B, T, W), 0 elsewhere."""
        logits_MS = self.logits(rows_BTW, hidden_BTW, start_B, given)
        cells_M = rows_BTW[..., self.columns_V][hidden_BTW]
        nats_M = F.cross_entropy(logits_MS.float(), cells_M, reduction="none")
        return nats_M.new_zeros(hidden_BTW.shape).masked_scatter(hidden_BTW, nats_M)

    def bound(
        self,
        rows_BTW: Tensor,
        shares_B: Tensor,
        start_B: Tensor,
        given: Given | None = None,
        within_BTW: Tensor | None = None,
        lots_BTW: Tensor | None = None,
    ) -> Tensor:
        """An unbiased estimate of the nats of voices revealed in a random order, (B, T, W).

        shares_B: in (0, 1], drawn uniformly: the share of cells that are hidden, rounded up. A
        hidden cell counts N / k times, of N cells k hidden. within_BTW: the N cells, given all
        others; None: all of the voices. lots_BTW: cells with the lowest are hidden; None: drawn
        from torch's generator. With others than independent lots it is no bound.
        """
        _, free_BTW = self.voices(rows_BTW)
        if within_BTW is not None:
            free_BTW = free_BTW & within_BTW
        counts_B = free_BTW.sum(dim=(1, 2))
        counts = (shares_B * counts_B).ceil().clamp(min=1).long()
        hidden_BTW = hide(free_BTW, counts, lots_BTW)
        weights_B = counts_B / hidden_BTW.sum(dim=(1, 2)).clamp(min=1)
        return self.nats(rows_BTW, hidden_BTW, start_B, given) * weights_B[:, None, None]


class CellTable(nn.Module):
    """A vector for each cell: of its symbol, if known, and of its neighbors and their distances."""

    def __init__(self, voices: int, symbols: int, width: int) -> None:
        super().__init__()
        sizes = (symbols + 1, symbols + 1, symbols + 1, FARTHEST + 1, FARTHEST + 1)
        self.table = nn.Embedding(voices * sum(sizes), width)
        nn.init.normal_(self.table.weight, std=0.1)
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        first_W5 = torch.arange(voices)[:, None] * sum(sizes) + starts
        self.register_buffer("first_W5", first_W5, persistent=False)

    first_W5: Tensor

    def forward(
        self, shown_BTW: Tensor, around: Neighbors, chosen_BTW: Tensor | None = None
    ) -> Tensor:
        """Shape (B, T, W, width), or (M, width) of chosen cells."""
        codes = torch.stack(
            [shown_BTW, around.before, around.after, around.since, around.until], dim=-1
        )
        codes = codes + self.first_W5
        if chosen_BTW is not None:
            codes = codes[chosen_BTW]
        sums = F.embedding_bag(codes.flatten(0, -2), self.table.weight, mode="sum")
        return sums.view(*codes.shape[:-1], -1)


def hide(free_BTW: Tensor, counts_B: Tensor, lots_BTW: Tensor | None = None) -> Tensor:
    """As many of the free cells of each piece, those with the lowest lots in [0, 1).

    lots_BTW: None draws them uniformly from torch's generator.
    """
    if lots_BTW is None:
        lots_BTW = torch.rand(free_BTW.shape, device=free_BTW.device)
    lots = lots_BTW.masked_fill(~free_BTW, 2.0)
    order = lots.flatten(1).argsort(dim=1)
    ranks = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    return (ranks < counts_B[:, None]).view_as(free_BTW) & free_BTW
