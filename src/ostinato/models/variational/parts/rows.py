"""Rows of cells as vectors, and segments as vectors."""

# N segments, L places, V voices, D width, H hidden width of each direction

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.spec import PAD

READ = 4  # the encoder is read at the first and last of so many rows


class RowTable(nn.Module):
    """The sum of a vector for each voice's symbol; `symbols` stands for unknown cells."""

    first_V: Tensor

    def __init__(self, voices: int, symbols: int, width: int) -> None:
        super().__init__()
        self.symbols = symbols
        self.table = nn.Embedding(voices * (symbols + 1), width)
        nn.init.normal_(self.table.weight, std=0.1)
        first = torch.arange(voices) * (symbols + 1)
        self.register_buffer("first_V", first, persistent=False)

    def forward(self, cells: Tensor) -> Tensor:
        """Of cells (…, V), shape (…, width); PAD is unknown."""
        codes = torch.where(cells == PAD, self.symbols, cells) + self.first_V
        sums = F.embedding_bag(codes.flatten(0, -2), self.table.weight, mode="sum")
        return sums.view(*cells.shape[:-1], -1)


class SegmentEncoder(nn.Module):
    """A segment as one vector: a bidirectional GRU, read at the first and last row and between."""

    def __init__(self, voices: int, symbols: int, width: int, hidden: int, span: int) -> None:
        super().__init__()
        self.cells = RowTable(voices, symbols, width)
        self.moves = nn.Parameter(torch.randn(voices, width) * 0.1)
        self.rnn = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        places = sorted({*range(0, span, READ), *range(READ - 1, span, READ), span - 1})
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.out = nn.Linear(len(places) * 2 * hidden, width)

    places: Tensor

    def forward(self, cells_NLV: Tensor, before_NV: Tensor) -> Tensor:
        """Shape (N, width)."""
        moved_NLV = cells_NLV != torch.cat([before_NV[:, None], cells_NLV[:, :-1]], dim=1)
        x_NLD = self.cells(cells_NLV) + moved_NLV.to(self.moves.dtype) @ self.moves
        y_NLH, _ = self.rnn(x_NLD)
        out: Tensor = self.out(y_NLH[:, self.places].flatten(1))
        return out
