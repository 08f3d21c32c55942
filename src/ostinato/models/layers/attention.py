"""Causal attention within a sliding context: chunks of queries for whole sequences, and a ring
buffer of keys and values for single steps.

A position sees itself and the `context` - 1 before it, in training and in sampling, so the cost of
a step does not grow with the piece.
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

    On a CPU the scores of a chunk fit into its caches, and keys that no query sees are skipped.
    """
    chunks = []
    for start in range(0, length, size):
        first, end = max(0, start + 1 - context), min(start + size, length)
        t = torch.arange(start, end, device=device)[:, None]
        s = torch.arange(first, end, device=device)
        hidden = (s > t) | (s <= t - context)
        chunks.append(Chunk(first, start, end, torch.where(hidden, -torch.inf, 0.0)))
    return chunks


class Slot(NamedTuple):
    """One layer's slot for the newest position, and the keys and values that it sees.

    newest: a view of the slot, (2, B, N, E). seen: keys and values, (2, B, N, S, E), including the
    slot. In recorded steps nothing may depend on Python numbers: `newest` is all slots, `number`,
    (1,), selects one, and `mask_S` hides unfilled ones.
    """

    newest: Tensor
    seen: Tensor
    number: Tensor | None = None
    mask_S: Tensor | None = None

    def put(self, kv_2BNE: Tensor) -> None:
        """Store the newest position's key and value."""
        if self.number is None:
            self.newest.copy_(kv_2BNE)
        else:
            self.newest.index_copy_(3, self.number, kv_2BNE[:, :, :, None])

    def attend(self, q_BNE: Tensor, bias_BNS: Tensor | None = None) -> Tensor:
        """Attention with softmax of q · k / √E + bias, (B, N, 1, E)."""
        keys, values = self.seen.unbind(0)
        if self.mask_S is None:
            mask = None if bias_BNS is None else bias_BNS[:, :, None]
            return F.scaled_dot_product_attention(q_BNE[:, :, None], keys, values, attn_mask=mask)
        scores_BNS = (keys @ q_BNE[..., None])[..., 0] * q_BNE.shape[-1] ** -0.5 + self.mask_S
        if bias_BNS is not None:
            scores_BNS = scores_BNS + bias_BNS
        return scores_BNS.softmax(dim=-1)[:, :, None] @ values


@dataclass
class Ring:
    """Keys and values of the last S positions of every layer, shape (L, 2, B, N, S, E).

    Position p is in slot p mod S; `position` is the next one. S grows up to `context`, except with
    `clock`: the next position as a tensor, (1,), for recorded steps.
    """

    kept: Tensor
    context: int
    position: int = 0
    clock: Tensor | None = None

    @property
    def slots(self) -> int:
        """S."""
        return self.kept.shape[4]

    def grow(self) -> bool:
        """Double S if the ring is full and may grow; returns whether it grew."""
        if self.clock is not None or self.position != self.slots or self.slots == self.context:
            return False
        more = min(self.slots, self.context - self.slots)
        self.kept = F.pad(self.kept, (0, 0, 0, more))
        return True

    def open(self) -> list[Slot]:
        """The slots of the next position in every layer."""
        if self.clock is None:
            here, seen = self.position % self.slots, min(self.position + 1, self.slots)
            newest = self.kept.select(4, here).unbind(0)
            return [
                Slot(*pair)
                for pair in zip(newest, self.kept.narrow(4, 0, seen).unbind(0), strict=True)
            ]
        empty_S = torch.arange(self.slots, device=self.kept.device) > self.clock
        mask_S = self.kept.new_zeros(()).where(~empty_S, -torch.inf)
        number = self.clock % self.slots
        return [Slot(layer, layer, number, mask_S) for layer in self.kept.unbind(0)]

    def note(self, held: Tensor, newest: Tensor) -> None:
        """Store a value of the next position, (B, …), in an array over slots, (B, S, …)."""
        if self.clock is None:
            held[:, self.position % self.slots] = newest
        else:
            held.index_copy_(1, self.clock % self.slots, newest[:, None])

    def close(self) -> None:
        """Advance to the next position."""
        if self.clock is None:
            self.position += 1
        else:
            self.clock += 1

    def select(self, index_B: Tensor) -> None:
        """Keep these sequences, in this order."""
        self.kept = self.kept.index_select(2, index_B)
