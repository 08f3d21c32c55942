"""What causal attention within a context needs, whatever its scores are: chunks of queries for
whole sequences, and a ring of keys and values for one position after another.

A position sees itself and the `context` - 1 before it, in training and in sampling alike, so that
cost and memory of a sampled position do not grow with the piece.
"""

# B batch, T positions, N heads, E width of a head, L layers, S slots of the ring

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 128


class Chunk(NamedTuple):
    """Queries `start` to `end` see the keys from `first` where `mask` is 0, not -inf."""

    first: int
    start: int
    end: int
    mask: Tensor


def query_chunks(length: int, context: int, device: torch.device, size: int = CHUNK) -> list[Chunk]:
    """Chunks of a sequence whose position t sees the positions s with t - context < s <= t.

    On a CPU a chunk's scores stay in its caches, and keys that none of it sees are skipped.
    """
    chunks = []
    for start in range(0, length, size):
        first, end = max(0, start + 1 - context), min(start + size, length)
        t = torch.arange(start, end, device=device)[:, None]
        s = torch.arange(first, end, device=device)
        hidden = (s > t) | (s <= t - context)
        chunks.append(Chunk(first, start, end, torch.where(hidden, -torch.inf, 0.0)))
    return chunks


@dataclass
class Ring:
    """Keys and values of the last S positions of every layer, shape (L, 2, B, N, S, E).

    Position p is in slot p mod S; `position` is the next one. S grows up to `context`.
    """

    kept: Tensor
    context: int
    position: int = 0

    @property
    def slots(self) -> int:
        """S."""
        return self.kept.shape[4]

    def grow(self) -> bool:
        """Double what is full, where it may still grow; says whether it did."""
        if self.position != self.slots or self.slots == self.context:
            return False
        more = min(self.slots, self.context - self.slots)
        self.kept = F.pad(self.kept, (0, 0, 0, more))
        return True

    def select(self, index_B: Tensor) -> None:
        """Hold these of the sequences, in this order."""
        self.kept = self.kept.index_select(2, index_B)

    def place(self) -> tuple[int, int]:
        """The next position's slot, and how many slots are filled with it."""
        return self.position % self.slots, min(self.position + 1, self.slots)
