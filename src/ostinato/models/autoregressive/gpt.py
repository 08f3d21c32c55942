"""Causal transformer: pre-norm decoder, rotary positions, key/value cache (Radford 2019; Su 2021).

The body is parts/transformer.py's. On a stream of events some heads can turn by musical time
instead of positions, so that they find what sounds at the same time or a bar ago. A position sees
itself and the `context` - 1 before it, in training and in sampling alike. On a CPU, queries attend
in chunks, 1.5 times as fast as torch's fused attention at length 512 and 0.9 times at 2,048
(`python -m benchmarks --only flex`); elsewhere the fused one is used up to the context's length.
"""

# B batch, T positions, D width, N heads, E width of a head, A = B * N, S slots of the ring

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.musical_time import Clock, TimeState
from ostinato.models.autoregressive.parts.transformer import Stack, StackConfig, Weights, step
from ostinato.models.layers.attention import Chunk, Ring, Slot, query_chunks
from ostinato.models.layers.blocks import matrix
from ostinato.models.layers.rotary import rotary_table, rotate, rotations
from ostinato.models.spec import ArraySpec


@dataclass(frozen=True, kw_only=True)
class Config(StackConfig):
    """Settings of the family.

    time_heads: how many of the heads turn by musical time; streams of events only.
    """

    time_heads: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.time_heads <= self.heads:
            raise ValueError(f"time_heads={self.time_heads} must lie in 0 to heads={self.heads}")
        if self.width % (2 * self.heads):
            raise ValueError(f"width={self.width} must be a multiple of twice heads={self.heads}")


@dataclass
class Cache:
    """The ring, the blocks' weights, and a table of rotations, which is empty for fixed steps.

    time: of every sequence, for heads that turn by it.
    """

    ring: Ring
    weights: list[Weights]
    rotation: Tensor
    time: TimeState | None


class Model(Stack):
    """Stack of attention and feed-forward blocks."""

    recordable = True

    def __init__(self, config: Config, shape: ArraySpec) -> None:
        super().__init__(config, shape, partial(Attention, config))
        if config.time_heads and shape.timing is None:
            raise ValueError(
                f"time_heads={config.time_heads} needs the times of events, and this encoding has "
                "none: set time_heads to 0, or choose an encoding of events"
            )
        self.time_heads = config.time_heads
        self.clock = Clock(shape.timing) if config.time_heads and shape.timing else None

    def trunk(self, x_BTD: Tensor, rows_BTW: Tensor) -> Tensor:
        """Outputs of shape (B, T, D)."""
        length, context = x_BTD.shape[1], self.config.context
        rotation = rotary_table(length, self.config.head_width, x_BTD.device)
        if self.clock:
            rotation = self._by_head(rotation, self.clock(rows_BTW[:, :, 0]))
        fused = x_BTD.device.type != "cpu" and length <= context
        chunks = None if fused else query_chunks(length, context, x_BTD.device)
        return self.run(x_BTD, rotation, chunks)

    def trunk_cache(self, batch: int, length: int, fixed: bool = False) -> Cache:
        """State for the last `context` positions, or for all of a shorter sequence."""
        ring = self.ring(batch, length, fixed)
        foreseen = 0 if fixed else length + 1
        rotation = rotary_table(foreseen, self.config.head_width, ring.kept.device)
        time = self.clock.begin(batch) if self.clock else None
        return Cache(ring, self.weights(), rotation, time)

    def trunk_step(self, x_BD: Tensor, rows_BW: Tensor, cache: Cache) -> Tensor:
        """One more position."""
        ring = cache.ring
        ring.grow()
        rotation = self._rotation(cache)
        if self.clock and cache.time:
            rotation = self._by_head(rotation, self.clock.step(rows_BW[:, 0], cache.time))
        for weights, slot in zip(cache.weights, ring.open(), strict=True):
            x_BD = step(x_BD, weights, partial(attend_step, rotation, slot))
        ring.close()
        return self.norm(x_BD)

    def _by_head(self, rotation: Tensor, times: Tensor) -> Tensor:
        """Rotations of the heads of queries and keys, (…, 2 N, E/2): the last ones turn by musical
        time (…).
        """
        width, by_time = self.config.head_width // 2, self.time_heads
        turns = rotations(times[..., None, None], self.config.head_width)
        others = rotation.expand(*times.shape, self.config.heads - by_time, width)
        heads = [others, turns.expand(*times.shape, by_time, width)]
        return torch.cat(heads * 2, dim=-2)

    def _rotation(self, cache: Cache) -> Tensor:
        """Rotation of the next position, (1, E/2)."""
        position, clock = cache.ring.position, cache.ring.clock
        if clock is not None:
            return rotations(clock[:, None], self.config.head_width)
        if position == len(cache.rotation):
            cache.rotation = rotary_table(
                2 * position, self.config.head_width, cache.rotation.device
            )
        return cache.rotation[position]

    def trunk_select(self, cache: Cache, index_B: Tensor) -> None:
        """Keep these sequences."""
        cache.ring.select(index_B)
        if cache.time:
            cache.time.select(index_B)


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.head_width = config.heads, config.head_width
        self.side_by_side = {"qkv": 3}
        self.qkv = matrix(config.width, 3 * config.width)
        self.out = matrix(config.width, config.width, config.gain)

    def forward(self, x_BTD: Tensor, rotation: Tensor, chunks: list[Chunk] | None) -> Tensor:
        """Every position attends to itself and those before it, within the context.

        chunks: None: the whole sequence with torch's fused attention.
        """
        B, T, D = x_BTD.shape
        qkv = (x_BTD @ self.qkv).view(B, T, 3 * self.heads, self.head_width)
        qk, v = torch.split(qkv, [2 * self.heads, self.heads], dim=2)
        q, k = torch.split(rotate(qk, rotation), self.heads, dim=2)
        q_BNTE, k_BNTE, v_BNTE = (part.transpose(1, 2) for part in (q, k, v))
        if chunks is None:
            y_BNTE = F.scaled_dot_product_attention(q_BNTE, k_BNTE, v_BNTE, is_causal=True)
        else:
            q_ATE, k_ATE, v_ATE = (
                part.reshape(B * self.heads, T, self.head_width)
                for part in (q_BNTE, k_BNTE, v_BNTE)
            )
            y_ATE = torch.cat([attend(q_ATE, k_ATE, v_ATE, chunk) for chunk in chunks], dim=1)
            y_BNTE = y_ATE.view(B, self.heads, T, self.head_width)
        return y_BNTE.transpose(1, 2).reshape(B, T, D) @ self.out


def attend(q_ATE: Tensor, k_ATE: Tensor, v_ATE: Tensor, chunk: Chunk) -> Tensor:
    """One chunk's weighted means of values."""
    first, start, end, mask = chunk
    keys_AES = k_ATE[:, first:end].transpose(1, 2)
    scale = q_ATE.shape[-1] ** -0.5
    scores = torch.baddbmm(mask.to(q_ATE.dtype), q_ATE[:, start:end], keys_AES, alpha=scale)
    return torch.bmm(scores.softmax(dim=-1), v_ATE[:, first:end])


def attend_step(rotation: Tensor, slot: Slot, qkv_BX: Tensor) -> Tensor:
    """One position, (B, D): puts its key and value into the slot and attends to all it sees."""
    _, B, N, _, E = slot.seen.shape
    torch.view_as_complex(qkv_BX.view(B, 3 * N, E // 2, 2)).narrow(1, 0, 2 * N).mul_(rotation)
    qkv_3BNE = qkv_BX.view(B, 3, N, E).transpose(0, 1)
    slot.put(qkv_3BNE[1:])
    return slot.attend(qkv_3BNE[0]).reshape(B, N * E)
