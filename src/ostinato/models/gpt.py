"""Causal transformer: pre-norm decoder, rotary positions, key/value cache (Radford 2019; Su 2021).

Notable: no biases, layer norms without a shift, one projection for queries, keys and values,
squared ReLU (So 2021). A position sees itself and the `context` - 1 before it, in training and in
sampling alike, so cost and memory of a sampled token do not grow with the piece. On a CPU, queries
attend in chunks: their scores stay in its caches and keys that none of them sees are skipped,
which is faster than torch's fused attention; elsewhere the fused one is used.
"""

# B batch, T positions, D width, N heads, E width of a head, A = B * N, L layers, S cache's slots

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.parts.autoregressive import Autoregressive, StepConfig, TokenShape
from ostinato.models.parts.layers import matrix, squared_relu

ROTARY_BASE = 10_000.0
CHUNK = 128


@dataclass(frozen=True, kw_only=True)
class Config(StepConfig):
    """Settings of the family; dropout is on the input, after attention and after feed-forward."""

    layers: int = 3
    heads: int = 4
    context: int = 256
    dropout: float = 0.1
    expansion: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % (2 * self.heads):
            raise ValueError(f"width={self.width} must be a multiple of twice heads={self.heads}")
        if self.context < 2:
            raise ValueError(f"context={self.context} must be at least 2")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")


class Weights(NamedTuple):
    """One block's weights as its step multiplies by them: (inputs, outputs)."""

    norm_attention: Tensor
    qkv: Tensor
    out: Tensor
    norm_forward: Tensor
    up: Tensor
    down: Tensor


@dataclass
class Cache:
    """Keys and values of the last S positions of every layer, in a ring, shape (L, 2, B, N, S, E).

    weights: those of the blocks, looked up once: beside a step's work, finding them would show.
    """

    ring: Tensor
    rotation: Tensor
    weights: list[Weights]
    position: int = 0


class Model(Autoregressive):
    """Stack of attention and feed-forward blocks."""

    def __init__(self, config: Config, shape: TokenShape) -> None:
        super().__init__(config, shape)
        self.config = config
        self.head_width = config.width // config.heads
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, bias=False)

    def trunk(self, x_BTD: Tensor) -> Tensor:
        """Outputs of shape (B, T, D)."""
        length = x_BTD.shape[1]
        rotation = rotary_table(length, self.head_width, x_BTD.device)
        chunks = query_chunks(length, self.config.context, x_BTD.device)
        x_BTD = self.dropout(x_BTD)
        for block in self.blocks:
            x_BTD = block(x_BTD, rotation, chunks)
        return self.norm(x_BTD)

    def trunk_cache(self, batch: int, length: int) -> Cache:
        """Room for the last `context` positions, or for all of a shorter sequence."""
        like = self.norm.weight
        slots = min(length + 1, self.config.context)
        size = (self.config.layers, 2, batch, self.config.heads, slots, self.head_width)
        rotation = rotary_table(length + 1, self.head_width, like.device)
        return Cache(
            like.new_zeros(size), rotation, [cast(Block, block).weights() for block in self.blocks]
        )

    def trunk_step(self, x_BD: Tensor, cache: Cache) -> Tensor:
        """One more position."""
        self._make_room(cache)
        position, slots = cache.position, cache.ring.shape[4]
        here = cache.ring.select(4, position % slots).unbind(0)
        seen = cache.ring.narrow(4, 0, min(position + 1, slots)).unbind(0)
        rotation = cache.rotation[position]
        for weights, newest, ring in zip(cache.weights, here, seen, strict=True):
            x_BD = step(x_BD, weights, rotation, newest, ring)
        cache.position += 1
        return self.norm(x_BD)

    def _make_room(self, cache: Cache) -> None:
        """Double what is full; the ring up to `context`, where it begins to turn."""
        position, slots = cache.position, cache.ring.shape[4]
        if position == slots < self.config.context:
            more = min(slots, self.config.context - slots)
            cache.ring = F.pad(cache.ring, (0, 0, 0, more))
        if position == len(cache.rotation):
            cache.rotation = rotary_table(2 * position, self.head_width, cache.ring.device)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        inner = config.expansion * config.width
        self.attention = Attention(config)
        self.norm_attention = nn.LayerNorm(config.width, bias=False)
        self.norm_forward = nn.LayerNorm(config.width, bias=False)
        self.up = matrix(config.width, inner)
        self.down = matrix(inner, config.width, (2 * config.layers) ** -0.5)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, rotation: Tensor, chunks: list["Chunk"]) -> Tensor:
        """Shape (B, T, D)."""
        x_BTD = x_BTD + self.dropout(self.attention(self.norm_attention(x_BTD), rotation, chunks))
        inner = squared_relu(self.norm_forward(x_BTD) @ self.up)
        return x_BTD + self.dropout(inner @ self.down)

    def weights(self) -> Weights:
        """For `step`."""
        attention = (self.norm_attention.weight, self.attention.qkv, self.attention.out)
        return Weights(*attention, self.norm_forward.weight, self.up, self.down)


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.head_width = config.heads, config.width // config.heads
        self.qkv = matrix(config.width, 3 * config.width)
        self.out = matrix(config.width, config.width, (2 * config.layers) ** -0.5)

    def forward(self, x_BTD: Tensor, rotation: Tensor, chunks: list["Chunk"]) -> Tensor:
        """Every position attends to itself and those before it, within the context."""
        B, T, D = x_BTD.shape
        qkv = (x_BTD @ self.qkv).view(B, T, 3 * self.heads, self.head_width)
        qk, v = torch.split(qkv, [2 * self.heads, self.heads], dim=2)
        q, k = torch.split(rotate(qk, rotation), self.heads, dim=2)
        q_ATE, k_ATE, v_ATE = (
            part.transpose(1, 2).reshape(B * self.heads, T, self.head_width) for part in (q, k, v)
        )
        y_ATE = torch.cat([attend(q_ATE, k_ATE, v_ATE, chunk) for chunk in chunks], dim=1)
        y_BTD = y_ATE.view(B, self.heads, T, self.head_width).transpose(1, 2).reshape(B, T, D)
        return y_BTD @ self.out


class Chunk(NamedTuple):
    """Queries `start` to `end` see the keys from `first` where `mask` is 0, not -inf.

    Without a mask it is the whole sequence, each position seeing all before it.
    """

    first: int
    start: int
    end: int
    mask: Tensor | None


def query_chunks(length: int, context: int, device: torch.device) -> list[Chunk]:
    """Chunks of a sequence whose position t sees the positions s with t - context < s <= t."""
    if device.type != "cpu" and length <= context:
        return [Chunk(0, 0, length, None)]
    chunks = []
    for start in range(0, length, CHUNK):
        first, end = max(0, start + 1 - context), min(start + CHUNK, length)
        t = torch.arange(start, end, device=device)[:, None]
        s = torch.arange(first, end, device=device)
        hidden = (s > t) | (s <= t - context)
        chunks.append(Chunk(first, start, end, torch.where(hidden, -torch.inf, 0.0)))
    return chunks


def attend(q_ATE: Tensor, k_ATE: Tensor, v_ATE: Tensor, chunk: Chunk) -> Tensor:
    """One chunk's weighted means of values."""
    first, start, end, mask = chunk
    if mask is None:
        return F.scaled_dot_product_attention(
            q_ATE[None], k_ATE[None], v_ATE[None], is_causal=True
        )[0]
    keys_AES = k_ATE[:, first:end].transpose(1, 2)
    scale = q_ATE.shape[-1] ** -0.5
    scores = torch.baddbmm(mask.to(q_ATE.dtype), q_ATE[:, start:end], keys_AES, alpha=scale)
    return torch.bmm(scores.softmax(dim=-1), v_ATE[:, first:end])


def step(x_BD: Tensor, weights: Weights, rotation: Tensor, newest: Tensor, ring: Tensor) -> Tensor:
    """A block at one position: puts its key and value into `newest`, attends to all of `ring`."""
    B, D = x_BD.shape
    _, _, N, E = newest.shape
    qkv = F.layer_norm(x_BD, (D,), weights.norm_attention) @ weights.qkv
    torch.view_as_complex(qkv.view(B, 3 * N, E // 2, 2)).narrow(1, 0, 2 * N).mul_(rotation)
    qkv_3BN1E = qkv.view(B, 3, N, 1, E).transpose(0, 1)
    newest.copy_(qkv_3BN1E[1:, :, :, 0])
    keys, values = ring.unbind(0)
    y_BN1E = F.scaled_dot_product_attention(qkv_3BN1E[0], keys, values)
    x_BD = torch.addmm(x_BD, y_BN1E.reshape(B, D), weights.out)
    positive = F.relu(F.layer_norm(x_BD, (D,), weights.norm_forward) @ weights.up)
    return torch.addmm(x_BD, positive * positive, weights.down)


def rotary_table(length: int, head_width: int, device: torch.device) -> Tensor:
    """e^(i t rate), shape (T, 1, E/2), for RoFormer's rotation of pairs (Su 2021, eq. 34)."""
    rates = ROTARY_BASE ** -(torch.arange(0, head_width, 2, device=device) / head_width)
    angles = torch.arange(length, device=device)[:, None, None] * rates
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x_BTNE: Tensor, rotation: Tensor) -> Tensor:
    """Turn the pairs (2i, 2i + 1) of the last dimension by the angles of their positions."""
    pairs = torch.view_as_complex(x_BTNE.float().view(*x_BTNE.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotation).flatten(-2).to(x_BTNE.dtype)
