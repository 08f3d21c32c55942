"""GPT-2 as published (Radford et al. 2019), for comparison.

Layer norms with shifts before attention and feed-forward and at the end, biases, learned absolute
positions, GELU in its tanh form, weights with standard deviation 0.02, those into the residual
stream divided by the root of the number of additions. Differences from the published model:

- The output weights are not tied to the input table, and the output has biases.
- Positions begin with standard deviation 0.02, as in transformers' GPT-2; OpenAI's code has 0.01.
- The input table has one more symbol, for "before the piece".
- Input and output are those of all families. With voice_hidden = 0 (one sub-token a position, the
  flat form) and without periods, held_steps and repetition_memory they are a table and a linear
  layer with standard deviation 0.02. With voice_hidden, a hidden layer precedes the output, and
  initial values are those of the other families: input tables 0.1, tables of the hidden layer
  0.05, its matrix and biases torch's default, the output 1 / √voice_hidden.
- Positions end at `context`: a longer sequence is read in windows that advance by half a context.
  A position uses the first window that contains it, so it sees between half a context and a whole
  one, in training and in sampling.
"""

# B batch, T positions, D width, N heads, E width of a head, K windows, C context, H half of it

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.autoregressive.parts.chain import Chain
from ostinato.models.autoregressive.parts.transformer import TransformerConfig, check_rate
from ostinato.models.spec import ArraySpec

DEVIATION = 0.02


@dataclass(frozen=True, kw_only=True)
class Config(TransformerConfig):
    """Settings of the family.

    attention_dropout: on attention weights, as published; torch's fused attention on a CPU does not
    support it, so it costs time and memory quadratic in the length.
    """

    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate("attention_dropout", self.attention_dropout)


@dataclass
class Cache:
    """The current window.

    inputs: (B, C, D). layers: keys and values of each, (B, N, C, E). filled: positions in it.
    """

    inputs: Tensor
    layers: list[tuple[Tensor, Tensor]]
    filled: int = 0


class Model(Autoregressive):
    """Stack of attention and feed-forward blocks over embedded positions."""

    def __init__(self, config: Config, shape: ArraySpec) -> None:
        super().__init__(config, shape)
        self.config = config
        if isinstance(self.chain, Chain) and not config.voice_hidden:
            tables = [part.weight for part in self.modules() if isinstance(part, nn.Embedding)]
            for weight in (*tables, self.chain.out_WHV):
                nn.init.normal_(weight, std=DEVIATION)
        self.positions_CD = nn.Parameter(torch.randn(config.context, config.width) * DEVIATION)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def trunk(self, x_BTD: Tensor, rows_BTW: Tensor) -> Tensor:
        """Outputs of shape (B, T, D)."""
        B, length, D = x_BTD.shape
        context, half = self.config.context, self.config.context // 2
        if length <= context:
            return self._window(x_BTD)[0]
        more = -(length - context) % half
        padded = F.pad(x_BTD, (0, 0, 0, more))
        windows = padded.unfold(1, context, half).transpose(2, 3)  # (B, K, C, D)
        y_BKCD = self._window(windows.reshape(-1, context, D))[0].view(B, -1, context, D)
        later_BTD = y_BKCD[:, 1:, context - half :].reshape(B, -1, D)
        return torch.cat([y_BKCD[:, 0], later_BTD], dim=1)[:, :length]

    def trunk_cache(self, batch: int, length: int, fixed: bool = False) -> Cache:
        """State for one window, or for all of a shorter sequence."""
        like = self.norm.weight
        slots = min(length + 1, self.config.context)
        size = (batch, self.config.heads, slots, self.config.head_width)
        layers = [(like.new_zeros(size), like.new_zeros(size)) for _ in self.blocks]
        return Cache(like.new_zeros(batch, slots, self.config.width), layers)

    def trunk_step(self, x_BD: Tensor, rows_BW: Tensor, cache: Cache) -> Tensor:
        """One more position; after a full window the next begins with the latest half."""
        self._make_room(cache)
        place = cache.filled
        cache.inputs[:, place] = x_BD
        x_BD = x_BD + self.positions_CD[place]
        for block, (keys, values) in zip(self.blocks, cache.layers, strict=True):
            x_BD = cast(Block, block).step(x_BD, keys, values, place)
        cache.filled += 1
        return self.norm(x_BD)

    def trunk_select(self, cache: Cache, index_B: Tensor) -> None:
        """Keep these sequences."""
        cache.inputs = cache.inputs.index_select(0, index_B)
        cache.layers = [
            (keys.index_select(0, index_B), values.index_select(0, index_B))
            for keys, values in cache.layers
        ]

    def _window(self, x_BTD: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Outputs, and each layer's keys and values, of positions counted from 0."""
        x_BTD = self.dropout(x_BTD + self.positions_CD[: x_BTD.shape[1]])
        kept = []
        for block in self.blocks:
            x_BTD, keys, values = block(x_BTD)
            kept.append((keys, values))
        return self.norm(x_BTD), kept

    def _make_room(self, cache: Cache) -> None:
        slots, context = cache.inputs.shape[1], self.config.context
        if cache.filled < slots:
            return
        if slots < context:  # the sequence is longer than announced
            more = min(slots, context - slots)
            cache.inputs = F.pad(cache.inputs, (0, 0, 0, more))
            cache.layers = [
                (F.pad(keys, (0, 0, 0, more)), F.pad(values, (0, 0, 0, more)))
                for keys, values in cache.layers
            ]
            return
        keep = context - context // 2
        cache.inputs[:, :keep] = cache.inputs[:, context - keep :].clone()
        _, kept = self._window(cache.inputs[:, :keep])
        for (keys, values), (new_keys, new_values) in zip(cache.layers, kept, strict=True):
            keys[:, :, :keep], values[:, :, :keep] = new_keys, new_values
        cache.filled = keep


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.rate = config.heads, config.attention_dropout
        self.norm_attention = nn.LayerNorm(config.width)
        self.qkv = linear(config.width, 3 * config.width)
        self.out = linear(config.width, config.width, config.gain)
        self.norm_forward = nn.LayerNorm(config.width)
        self.up = linear(config.width, config.expansion * config.width)
        self.down = linear(config.expansion * config.width, config.width, config.gain)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (B, T, D); keys and values (B, N, T, E)."""
        q, k, v = self._split(x_BTD)
        rate = self.rate if self.training else 0.0
        y_BNTE = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=rate)
        y_BTD = y_BNTE.transpose(1, 2).reshape(x_BTD.shape)
        x_BTD = x_BTD + self.dropout(self.out(y_BTD))
        return x_BTD + self.dropout(self._feed_forward(x_BTD)), k, v

    def step(self, x_BD: Tensor, keys: Tensor, values: Tensor, place: int) -> Tensor:
        """One position; its key and value are stored at `place`."""
        q, k, v = self._split(x_BD[:, None])
        keys[:, :, place : place + 1], values[:, :, place : place + 1] = k, v
        seen = slice(0, place + 1)
        y_BN1E = F.scaled_dot_product_attention(q, keys[:, :, seen], values[:, :, seen])
        x_BD = x_BD + self.out(y_BN1E.reshape(x_BD.shape))
        return x_BD + self._feed_forward(x_BD)

    def _split(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, N, T, E)."""
        B, T, _ = x_BTD.shape
        qkv = self.qkv(self.norm_attention(x_BTD)).view(B, T, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def _feed_forward(self, x: Tensor) -> Tensor:
        inner = F.gelu(self.up(self.norm_forward(x)), approximate="tanh")
        down: Tensor = self.down(inner)
        return down


def linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    """A linear layer with zero bias."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=DEVIATION * gain)
    nn.init.zeros_(layer.bias)
    return layer
