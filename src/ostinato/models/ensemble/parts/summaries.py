"""What the coordinator reads: a vector for each part of a bar, and one where a bar begins."""

# B batch, I bars, R roles, D width, L notes

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.ensemble.parts.layout import Layout
from ostinato.models.ensemble.parts.reading import Reading


class Summaries(nn.Module):
    """Sums over the notes of a part; a role that does not play has a vector of its own."""

    def __init__(self, layout: Layout, width: int) -> None:
        super().__init__()
        roles = len(layout.blocks)
        self.pitches = layout.pitches
        self.pitch = nn.Embedding(roles * self.pitches, width)
        self.place = nn.Embedding(layout.longest, width)
        self.duration = nn.Embedding(layout.longest + 1, width)
        for table in (self.pitch, self.place, self.duration):
            nn.init.normal_(table.weight, std=0.5)
        self.norm = nn.RMSNorm(width)
        self.out = nn.Linear(width, width, bias=False)
        self.present_RD = nn.Parameter(0.1 * torch.randn(roles, width))
        self.absent_RD = nn.Parameter(0.1 * torch.randn(roles, width))
        self.begin_D = nn.Parameter(0.1 * torch.randn(width))
        self.next_RD = nn.Parameter(0.1 * torch.randn(roles + 1, width))

    def notes(self, role: Tensor, place: Tensor, pitch: Tensor, duration: Tensor) -> Tensor:
        """A vector for every note, (L, D)."""
        which = role * self.pitches + pitch
        return F.gelu(self.pitch(which) + self.place(place) + self.duration(duration))

    def forward(self, reading: Reading) -> Tensor:
        """Of every part, (B, I, R, D)."""
        notes, (rows, bars, roles) = reading.notes, reading.present.shape
        vectors = self.notes(notes.role, notes.place, notes.pitch, notes.duration)
        sums = vectors.new_zeros(rows * bars * roles, vectors.shape[1])
        sums = sums.index_add(0, (notes.row * bars + notes.bar) * roles + notes.role, vectors)
        return self.part(sums.view(rows, bars, roles, -1), reading.present[..., None])

    def part(self, sums: Tensor, present: Tensor) -> Tensor:
        """Of sums over notes (…, R, D), and which roles play (…, R, 1)."""
        played = self.out(self.norm(sums)) + self.present_RD
        return torch.where(present, played, self.absent_RD)

    def slots(self, ordered: Tensor, order_BR: Tensor) -> Tensor:
        """The coordinator's input, (B, I, R + 1, D): where a bar begins, and each part of it, all
        with the role that comes next; none after the last.

        ordered: parts (B, I, R, D) in the order of the roles, (B, R).
        """
        begin = self.begin_D.expand(*ordered.shape[:2], 1, -1)
        last = order_BR.new_full((len(order_BR), 1), len(self.next_RD) - 1)
        following = self.next_RD[torch.cat([order_BR, last], dim=1)]
        return torch.cat([begin, ordered], dim=2) + following[:, None]
