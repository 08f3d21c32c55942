"""Music Transformer: relative self-attention (Huang et al. 2018), over rows of voices.

Attention asks how far back a position is, whether it is at the same place in the bar, and by which
interval each voice has moved since; the formula is in parts/relative.py. Notable: otherwise the
body of the family gpt, without rotation. A position sees itself and the `context` - 1 before it, in
training and in sampling alike.
"""

# B batch, T positions, D width, N heads, E width of a head, W voices, L layers, S cache's slots

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.parts.autoregressive import Autoregressive, StepConfig, StepInput, TokenShape
from ostinato.models.parts.layers import matrix, squared_relu
from ostinato.models.parts.relative import (
    Chunk,
    Pitches,
    Relations,
    Scale,
    by_distance,
    query_chunks,
)

CHUNK = 128


@dataclass(frozen=True, kw_only=True)
class Config(StepConfig):
    """Settings of the family; dropout is on the input, after attention and after feed-forward.

    near: how many distances are told apart, 0 being the position itself; farther ones are as the
    last, but for their place in the `periods`. pitches: first and last of the symbols that are
    consecutive pitches; without them no intervals are asked for. intervals: the widest that is told
    apart, in semitones.
    """

    layers: int = 3
    heads: int = 4
    context: int = 256
    near: int = 128
    pitches: tuple[int, ...] = ()
    intervals: int = 24
    dropout: float = 0.1
    expansion: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise ValueError(f"width={self.width} must be a multiple of heads={self.heads}")
        if self.context < 2:
            raise ValueError(f"context={self.context} must be at least 2")
        if not 1 <= self.near <= self.context:
            raise ValueError(f"near={self.near} must lie in 1 to context={self.context}")
        if self.pitches and (len(self.pitches) != 2 or self.pitches[0] >= self.pitches[1]):
            raise ValueError(f"pitches={list(self.pitches)} must be a first and a last symbol")
        if self.intervals < 1:
            raise ValueError(f"intervals={self.intervals} must be at least 1; or leave out pitches")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")


class RowsBeside(StepInput):
    """The input's vector with the row itself in its last W channels, for the intervals."""

    def forward(self, rows_BTW: Tensor, clock_BT: Tensor, ages_BTW: Tensor | None) -> Tensor:
        """Shape (B, T, D + W)."""
        x_BTD = super().forward(rows_BTW, clock_BT, ages_BTW)
        return torch.cat([x_BTD, rows_BTW.to(x_BTD.dtype)], dim=-1)

    def step(self, rows_BW: Tensor, position: int, ages_BW: Tensor) -> Tensor:
        """Shape (B, D + W)."""
        x_BD = super().step(rows_BW, position, ages_BW)
        return torch.cat([x_BD, rows_BW.to(x_BD.dtype)], dim=-1)


class Tables(NamedTuple):
    """One layer's relations as its step looks them up.

    around: R around the ring, twice, so that any turn of it is one piece, (N, E, 2S). intervals:
    P by number, (N, E, 1 + W I).
    """

    around: Tensor
    intervals: Tensor | None


@dataclass
class Cache:
    """Keys and values of the last S positions of every layer in a ring, (L, 2, B, N, S, E), and
    those positions' pitches, (B, S, W).
    """

    ring: Tensor
    pitches: Tensor
    tables: list[Tables]
    position: int = 0


class Model(Autoregressive):
    """Stack of relative attention and feed-forward blocks."""

    def __init__(self, config: Config, shape: TokenShape) -> None:
        super().__init__(config, shape)
        self.config = config
        self.head_width = config.width // config.heads
        self.scale = pitch_scale(config, shape)
        if self.scale:
            self.step_input = RowsBeside(config, shape)
        self.dropout = nn.Dropout(config.dropout)
        intervals = shape.width * (2 * config.intervals + 1) if self.scale else 0
        self.blocks = nn.ModuleList(Block(config, intervals) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, bias=False)

    def trunk(self, x_BTD: Tensor) -> Tensor:
        """Outputs of shape (B, T, D)."""
        pitches = None
        if self.scale:
            x_BTD, rows_BTW = torch.split(x_BTD, [self.config.width, self.shape.width], dim=-1)
            pitches = self.scale.relate(rows_BTW.long())
        chunks = query_chunks(x_BTD.shape[1], self.config.context, CHUNK, x_BTD.device)
        x_BTD = self.dropout(x_BTD)
        for block in self.blocks:
            x_BTD = block(x_BTD, pitches, chunks)
        return self.norm(x_BTD)

    def trunk_cache(self, batch: int, length: int) -> Cache:
        """Room for the last `context` positions, or for all of a shorter sequence."""
        like = self.norm.weight
        slots = min(length + 1, self.config.context)
        size = (self.config.layers, 2, batch, self.config.heads, slots, self.head_width)
        pitches = torch.full((batch, slots, self.shape.width), -1, device=like.device)
        return Cache(like.new_zeros(size), pitches, self._tables(slots))

    def trunk_step(self, x_BD: Tensor, cache: Cache) -> Tensor:
        """One more position."""
        position, slots = cache.position, cache.ring.shape[4]
        if position == slots < self.config.context:  # full, but it may still grow
            more = min(slots, self.config.context - slots)
            slots += more
            cache.ring = F.pad(cache.ring, (0, 0, 0, more))
            cache.pitches = F.pad(cache.pitches, (0, 0, 0, more), value=-1)
            cache.tables = self._tables(slots)
        here, seen = position % slots, min(position + 1, slots)
        between = None
        if self.scale:
            x_BD, rows_BW = torch.split(x_BD, [self.config.width, self.shape.width], dim=-1)
            cache.pitches[:, here] = self.scale.pitch(rows_BW.long())
            newest_B1W = cache.pitches[:, here : here + 1]
            between = self.scale.intervals(newest_B1W, cache.pitches[:, :seen])
        for block, ring, tables in zip(self.blocks, cache.ring, cache.tables, strict=True):
            turned = tables._replace(around=tables.around.narrow(2, -position % slots, seen))
            x_BD = cast(Block, block).step(x_BD, ring, (here, seen), turned, between)
        cache.position += 1
        return self.norm(x_BD)

    def _tables(self, slots: int) -> list[Tables]:
        """Column z of R is the distance -z mod slots: slot s is (position - s) mod slots back."""
        tables = []
        for block in self.blocks:
            relations = cast(Block, block).attention.relations
            down_NSE = relations.distances(slots)  # slots - 1, … 1, 0
            around = down_NSE.roll(1, dims=1).transpose(1, 2)  # 0, slots - 1, … 1
            intervals = relations.intervals() if self.scale else None
            tables.append(Tables(torch.cat([around, around], dim=2), intervals))
        return tables


def pitch_scale(config: Config, shape: TokenShape) -> Scale | None:
    """Which symbols are pitches, if any."""
    if not config.pitches:
        return None
    first, last = config.pitches
    if first < 0 or last >= shape.vocabulary:
        raise ValueError(
            f"pitches={[first, last]} must be symbols, and the representation has "
            f"{shape.vocabulary}: 0 to {shape.vocabulary - 1}"
        )
    return Scale(first, last - first + 1, config.intervals)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: Config, intervals: int) -> None:
        super().__init__()
        inner = config.expansion * config.width
        self.attention = Attention(config, intervals)
        self.norm_attention = nn.LayerNorm(config.width, bias=False)
        self.norm_forward = nn.LayerNorm(config.width, bias=False)
        self.up = matrix(config.width, inner)
        self.down = matrix(inner, config.width, (2 * config.layers) ** -0.5)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, pitches: Pitches | None, chunks: list[Chunk]) -> Tensor:
        """Shape (B, T, D)."""
        x_BTD = x_BTD + self.dropout(self.attention(self.norm_attention(x_BTD), pitches, chunks))
        return x_BTD + self.dropout(self._feed_forward(x_BTD))

    def step(
        self,
        x_BD: Tensor,
        ring: Tensor,
        place: tuple[int, int],
        tables: Tables,
        between_BSW: Tensor | None,
    ) -> Tensor:
        """One position; place: its slot of the ring, and how many are filled with it. tables:
        R turned to that place.
        """
        normed = self.norm_attention(x_BD)
        x_BD = x_BD + self.attention.step(normed, ring, place, tables, between_BSW)
        return x_BD + self._feed_forward(x_BD)

    def _feed_forward(self, x: Tensor) -> Tensor:
        return squared_relu(self.norm_forward(x) @ self.up) @ self.down


class Attention(nn.Module):
    """Causal self-attention with relations."""

    def __init__(self, config: Config, intervals: int) -> None:
        super().__init__()
        self.heads, self.head_width = config.heads, config.width // config.heads
        self.qkv = matrix(config.width, 3 * config.width)
        self.out = matrix(config.width, config.width, (2 * config.layers) ** -0.5)
        self.relations = Relations(
            config.heads, self.head_width, config.near, config.periods, intervals
        )

    def forward(self, x_BTD: Tensor, pitches: Pitches | None, chunks: list[Chunk]) -> Tensor:
        """Every position attends to itself and those before it, within the context."""
        B, T, D = x_BTD.shape
        N, E = self.heads, self.head_width
        q, k, v = (x_BTD @ self.qkv).view(B, T, 3, N, E).permute(2, 0, 3, 1, 4).unbind(0)
        q = q * E**-0.5
        q_ATE, k_ATE, v_ATE = (part.reshape(B * N, T, E) for part in (q, k, v))
        whatever_N11E = (self.relations.query_N1E * E**-0.5)[:, None].to(q.dtype)
        asks_NBTE = q.transpose(0, 1) + whatever_N11E
        table_NFE = self.relations.distances(max(chunk.end - chunk.first for chunk in chunks))
        earned_BNTX = self.relations.earned(asks_NBTE, pitches) if pitches else None
        # split, not sliced: its gradient is put together once, a slice's is padded for each chunk
        sizes = [chunk.end - chunk.start for chunk in chunks]
        asks = torch.split(asks_NBTE, sizes, dim=2)
        queries = torch.split(q_ATE, sizes, dim=1)
        earned = torch.split(earned_BNTX, sizes, dim=2) if earned_BNTX is not None else []
        parts = []
        for i, (first, start, end, mask) in enumerate(chunks):
            scores = by_distance(asks[i], table_NFE, end - first) + mask.to(q.dtype)
            if pitches:
                keys = pitches.keys_BTX[:, first:end].transpose(1, 2).to(q.dtype)
                scores = torch.baddbmm(scores.flatten(1, 2), earned[i].flatten(1, 2), keys)
            scores = scores.reshape(B * N, end - start, end - first)
            scores = torch.baddbmm(scores, queries[i], k_ATE[:, first:end].transpose(1, 2))
            parts.append(torch.bmm(scores.softmax(dim=-1), v_ATE[:, first:end]))
        y_BNTE = torch.cat(parts, dim=1).view(B, N, T, E)
        return y_BNTE.transpose(1, 2).reshape(B, T, D) @ self.out

    def step(
        self,
        x_BD: Tensor,
        ring: Tensor,
        place: tuple[int, int],
        tables: Tables,
        between_BSW: Tensor | None,
    ) -> Tensor:
        """Puts one position's key and value into the ring and attends to all that is filled."""
        B, D = x_BD.shape
        here, seen = place
        q, k, v = (x_BD @ self.qkv).view(B, 3, self.heads, -1).unbind(1)
        ring[0, :, :, here], ring[1, :, :, here] = k, v
        keys, values = ring[:, :, :, :seen].unbind(0)
        scale = self.head_width**-0.5
        asks_NBE = (q.transpose(0, 1) + self.relations.query_N1E) * scale
        bias_BNS = torch.bmm(asks_NBE, tables.around).transpose(0, 1)
        if between_BSW is not None and tables.intervals is not None:
            by_interval = torch.bmm(asks_NBE, tables.intervals).transpose(0, 1)
            numbers = between_BSW.view(B, 1, -1).expand(B, self.heads, -1)
            earned = by_interval.gather(2, numbers).view(B, self.heads, seen, -1)
            bias_BNS = bias_BNS + earned.sum(dim=-1)
        y_BN1E = F.scaled_dot_product_attention(
            q[:, :, None], keys, values, attn_mask=bias_BNS[:, :, None], scale=scale
        )
        return y_BN1E.reshape(B, D) @ self.out
