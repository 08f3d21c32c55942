"""Causal transformer: pre-norm decoder with rotary positions and a static key/value cache (Radford 2019; Su 2021).

Notable: no biases, layer norms without parameters of their own shift, one fused projection for queries, keys
and values, torch's fused attention. A position sees itself and the `context` - 1 before it, in training and in sampling
alike, so cost and memory of a sampled token do not grow with the piece.
"""

# B batch, T positions, D width, N heads, E width of a head, C context

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.parts.autoregressive import Autoregressive, StepConfig, TokenShape

ROTARY_BASE = 10_000.0


@dataclass(frozen=True, kw_only=True)
class Config(StepConfig):
    """Settings of the family; dropout is after attention, after the feed-forward and on the input."""

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


@dataclass
class Cache:
    """Keys and values of the last C positions of every layer, in a ring."""

    keys_LBNCE: Tensor
    values_LBNCE: Tensor
    position: int


class Model(Autoregressive):
    """Stack of attention and feed-forward blocks."""

    def __init__(self, config: Config, shape: TokenShape) -> None:
        super().__init__(config, shape)
        self.config = config
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, bias=False)

    def trunk(self, x_BTD: Tensor) -> Tensor:
        """Outputs of shape (B, T, D)."""
        length = x_BTD.shape[1]
        rotation = rotary_table(
            torch.arange(length, device=x_BTD.device), self.blocks[0].attention.head_width
        )
        band = (
            None
            if length <= self.config.context
            else causal_band(length, self.config.context, x_BTD)
        )
        x_BTD = self.dropout(x_BTD)
        for block in self.blocks:
            x_BTD = block(x_BTD, rotation, band)
        return self.norm(x_BTD)

    def trunk_cache(self, batch: int, length: int) -> Cache:
        """Room for the last `context` positions, or for all of a shorter sequence."""
        weight = self.blocks[0].attention.qkv.weight
        heads, slots = self.config.heads, min(length + 1, self.config.context)
        size = (self.config.layers, batch, heads, slots, self.config.width // heads)
        return Cache(weight.new_zeros(size), weight.new_zeros(size), 0)

    def trunk_step(self, x_BD: Tensor, cache: Cache) -> Tensor:
        """One more position."""
        here = torch.tensor([cache.position], device=x_BD.device)
        rotation = rotary_table(here, self.blocks[0].attention.head_width)
        for number, block in enumerate(self.blocks):
            x_BD = block.step(x_BD, rotation, cache, number)
        cache.position += 1
        return self.norm(x_BD)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        inner = config.expansion * config.width
        self.attention = Attention(config)
        self.norm_attention = nn.LayerNorm(config.width, bias=False)
        self.norm_forward = nn.LayerNorm(config.width, bias=False)
        self.up = nn.Linear(config.width, inner, bias=False)
        self.down = nn.Linear(inner, config.width, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.normal_(self.up.weight, std=config.width**-0.5)
        nn.init.normal_(self.down.weight, std=inner**-0.5 / (2 * config.layers) ** 0.5)

    def forward(self, x_BTD: Tensor, rotation: Tensor, band: Tensor | None) -> Tensor:
        """Shape (B, T, D)."""
        x_BTD = x_BTD + self.dropout(self.attention(self.norm_attention(x_BTD), rotation, band))
        return x_BTD + self.dropout(self._feed(x_BTD))

    def step(self, x_BD: Tensor, rotation: Tensor, cache: Cache, layer: int) -> Tensor:
        """One position, shape (B, D)."""
        x_BD = x_BD + self.attention.step(self.norm_attention(x_BD), rotation, cache, layer)
        return x_BD + self._feed(x_BD)

    def _feed(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(self.norm_forward(x)), approximate="tanh"))


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.head_width = config.heads, config.width // config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        nn.init.normal_(self.qkv.weight, std=config.width**-0.5)
        nn.init.normal_(self.out.weight, std=config.width**-0.5 / (2 * config.layers) ** 0.5)

    def forward(self, x_BTD: Tensor, rotation: Tensor, band: Tensor | None) -> Tensor:
        """Every position attends to itself and those before it, within the band."""
        B, T, D = x_BTD.shape
        qkv = self.qkv(x_BTD).view(B, T, 3 * self.heads, self.head_width)
        turned = rotate(qkv[:, :, : 2 * self.heads], rotation[:, None]).transpose(1, 2)
        q_BNTE, k_BNTE = turned.split(self.heads, dim=1)
        v_BNTE = qkv[:, :, 2 * self.heads :].transpose(1, 2)
        y_BNTE = F.scaled_dot_product_attention(
            q_BNTE, k_BNTE, v_BNTE, attn_mask=band, is_causal=band is None
        )
        return self.out(y_BNTE.transpose(1, 2).reshape(B, T, D))

    def step(self, x_BD: Tensor, rotation: Tensor, cache: Cache, layer: int) -> Tensor:
        """The newest position attends to those in the cache."""
        B, D = x_BD.shape
        slots = cache.keys_LBNCE.shape[3]
        slot, filled = cache.position % slots, min(cache.position + 1, slots)
        qkv = self.qkv(x_BD).view(B, 3 * self.heads, self.head_width)
        turned = rotate(qkv[:, : 2 * self.heads], rotation)
        keys, values = cache.keys_LBNCE[layer], cache.values_LBNCE[layer]
        keys[:, :, slot] = turned[:, self.heads :]
        values[:, :, slot] = qkv[:, 2 * self.heads :]
        q_BN1E = turned[:, : self.heads, None]
        y_BN1E = F.scaled_dot_product_attention(q_BN1E, keys[:, :, :filled], values[:, :, :filled])
        return self.out(y_BN1E.reshape(B, D))


def rotary_table(positions_T: Tensor, head_width: int) -> Tensor:
    """Angles' cosines and sines, shape (T, 2, E/2), for RoFormer's rotation of pairs (Su 2021, eq. 34)."""
    rates = ROTARY_BASE ** -(torch.arange(0, head_width, 2, device=positions_T.device) / head_width)
    angles = positions_T[:, None] * rates
    return torch.stack((angles.cos(), angles.sin()), dim=1)


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn the pairs (i, i + E/2) of the last dimension by the angles of their positions."""
    cos, sin = rotation[..., 0, :], rotation[..., 1, :]
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1).to(x.dtype)


def causal_band(length: int, context: int, like: Tensor) -> Tensor:
    """True where position t (row) may see position s (column): t - context < s <= t."""
    ones = torch.ones(length, length, dtype=torch.bool, device=like.device)
    return ones.tril().triu(1 - context)
