"""Pieces as sequences of segments: a few steps each, of one bar.

Nothing depends on what else is in a batch: every segment has `span` places, whatever the longest
one of the batch needs.
"""

# B batch, T positions, W columns, V voices, N segments of the batch, L places of a segment,
# S segments of a piece

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.models.spec import PAD, Structure

FAR = 16  # segments; farther ends and bar lines look alike, and those that are not known


@dataclass(frozen=True)
class Segments:
    """The segments of a batch of pieces, one piece after the other.

    cells: symbols, (N, L, V); PAD after the last row of a segment. before: the row before the
    first one, (N, V); PAD at the beginning of a piece. length: rows, (N,). to_end: segments until
    the end, (N,). since, until: segments of its bar before and after it, (N,); FAR: unknown, as it
    may be in crops. piece, number: which piece of the batch, and which
    segment of it, (N,). begins: whether the first segment is the beginning of a piece, (B,). rows:
    of every row of the batch, the index of its place among N · L; -1 for those of the end, (B, T).
    """

    cells: Tensor
    before: Tensor
    length: Tensor
    to_end: Tensor
    since: Tensor
    until: Tensor
    piece: Tensor
    number: Tensor
    begins: Tensor
    rows: Tensor

    @property
    def held(self) -> Tensor:
        """Which places are rows, (N, L)."""
        places_L = torch.arange(self.cells.shape[1], device=self.cells.device)
        return places_L < self.length[:, None]

    def by_piece(self, values_ND: Tensor) -> Tensor:
        """Values of segments as sequences, (B, S, D), 0 after the last segment of a piece."""
        most = int(self.number.max()) + 1 if len(self.number) else 0
        out = values_ND.new_zeros(len(self.begins), most, values_ND.shape[1])
        return out.index_put((self.piece, self.number), values_ND)

    def of_pieces(self, values_BSD: Tensor) -> Tensor:
        """The inverse of `by_piece`, (N, D)."""
        return values_BSD[self.piece, self.number]

    def to_rows(self, values_NLV: Tensor) -> Tensor:
        """Values of places as rows of pieces, (B, T, V), 0 where there is no music."""
        flat = F.pad(values_NLV.flatten(0, 1), (0, 0, 0, 1))  # the last one, -1, is 0
        return flat[self.rows]


def segments_of(
    rows_BTW: Tensor,
    start_B: Tensor,
    columns_V: Tensor,
    *,
    structure: Structure | None,
    span: int,
    period: int,
) -> Segments:
    """The segments of pieces, or of crops that begin after `start_B` rows.

    They begin with every bar line and after every `span` steps from there. period: steps of a bar
    in grids without bar lines.
    """
    cells_BTV, device = rows_BTW[..., columns_V], rows_BTW.device
    length, music_BT = cells_BTV.shape[1], cells_BTV[..., 0] != PAD
    steps_T = torch.arange(length, device=device)
    ends_B = torch.zeros(len(rows_BTW), dtype=torch.bool, device=device)
    if structure is None:
        line_BT = music_BT & ((start_B[:, None] + steps_T) % period == 0)
    else:
        column_BT = rows_BTW[..., structure.bar_column]
        if structure.end is not None:
            music_BT = music_BT & (column_BT != structure.end)
            ends_B = (column_BT == structure.end).any(dim=1)
        line_BT = (column_BT != structure.inside) & music_BT
    last_BT = torch.where(line_BT, steps_T, -1).cummax(dim=1).values
    place_BT = (steps_T - last_BT.clamp(min=0)) % span
    opens_BT = music_BT & (place_BT == 0)
    numbers_BT = opens_BT.cumsum(dim=1) - 1
    counts_B = opens_BT.sum(dim=1)
    codes_BT = numbers_BT + (counts_B.cumsum(0) - counts_B)[:, None]
    total = int(counts_B.sum())
    rows_BT = torch.where(music_BT, codes_BT * span + place_BT, -1)
    cells = cells_BTV.new_full((total * span, len(columns_V)), PAD)
    cells[rows_BT[music_BT]] = cells_BTV[music_BT]
    piece_N, number_N = opens_BT.nonzero()[:, 0], numbers_BT[opens_BT]
    left_N = (counts_B[piece_N] - 1 - number_N).clamp(max=FAR)
    # the segment that the bar of each row begins with, and that the next bar begins with
    known_BT = (last_BT >= 0) | (start_B == 0)[:, None]
    first_BT = numbers_BT.gather(1, last_BT.clamp(min=0))
    next_BT = F.pad(torch.where(line_BT, numbers_BT, length)[:, 1:], (0, 1), value=length)
    next_BT = next_BT.flip(1).cummin(dim=1).values.flip(1)
    next_BT = torch.where((next_BT == length) & ends_B[:, None], counts_B[:, None], next_BT)
    since_BT = torch.where(known_BT, (numbers_BT - first_BT).clamp(max=FAR), FAR)
    return Segments(
        cells=cells.view(total, span, len(columns_V)),
        before=F.pad(cells_BTV[:, :-1], (0, 0, 1, 0), value=PAD)[opens_BT],
        length=torch.bincount(codes_BT[music_BT], minlength=total),
        to_end=torch.where(ends_B[piece_N], left_N, FAR),
        since=since_BT[opens_BT],
        until=(next_BT - numbers_BT - 1)[opens_BT].clamp(max=FAR),
        piece=piece_N,
        number=number_N,
        begins=start_B == 0,
        rows=rows_BT,
    )
