"""Settings of all transformers, and a pre-norm body with a sliding context.

Notable of the body: no biases, norms without a shift, one projection for queries, keys and values;
layer norm or RMSNorm (Zhang & Sennrich 2019), squared ReLU (So 2021) or SwiGLU (Shazeer 2020).
benchmarks/results/variants.md compares them.
"""

# B batch, T positions, D width, N heads, E width of a head, L layers, S slots of the ring

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.autoregressive.parts.config import StepConfig
from ostinato.models.layers.attention import Ring
from ostinato.models.layers.blocks import FEED_FORWARDS, NORM_STEPS, NORMS, NormStep, matrix
from ostinato.models.spec import ArraySpec


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(StepConfig):
    """Settings of all transformers.

    dropout: on the input, after attention and after feed-forward. expansion: inner width of a
    feed-forward, in widths.
    """

    layers: int = 3
    heads: int = 4
    context: int = 256
    dropout: float = 0.1
    expansion: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("layers", "heads", "expansion"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.width % self.heads:
            raise ValueError(f"width={self.width} must be a multiple of heads={self.heads}")
        if self.context < 2:
            raise ValueError(f"context={self.context} must be at least 2")
        check_rate("dropout", self.dropout)

    @property
    def head_width(self) -> int:
        """E."""
        return self.width // self.heads

    @property
    def gain(self) -> float:
        """Scale of projections into the residual stream: 1 / √(number of additions to it)."""
        return (2 * self.layers) ** -0.5


def check_rate(name: str, rate: float) -> None:
    """Raise ValueError if a dropout rate is not in [0, 1)."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name}={rate} must lie in [0, 1)")


def aligned(width: int) -> int:
    """The nearest multiple of 64, which fills the vector and matrix units of CPUs and GPUs; widths
    below 32 stay as they are.
    """
    return 64 * round(width / 64) or width


@dataclass(frozen=True, kw_only=True)
class StackConfig(TransformerConfig):
    """Settings of the body.

    norm: layer or rms. feed_forward: squared_relu, or swiglu with 2/3 of the inner width (see
    `aligned`), so that both have about as many weights.
    """

    norm: str = "rms"
    feed_forward: str = "swiglu"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("norm", NORMS), ("feed_forward", FEED_FORWARDS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)} must be one of {', '.join(known)}")


class Stack(Autoregressive):
    """The body: blocks with one attention each, and a final norm.

    attention: creates the attention of one layer; called after the input's weights are drawn.
    """

    def __init__(
        self, config: StackConfig, shape: ArraySpec, attention: Callable[[], nn.Module]
    ) -> None:
        super().__init__(config, shape)
        self.config = config
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, attention()) for _ in range(config.layers))
        self.norm = NORMS[config.norm](config.width)

    def run(self, x_BTD: Tensor, *seen: object) -> Tensor:
        """Outputs of shape (B, T, D); seen: further arguments of attention."""
        x_BTD = self.dropout(x_BTD)
        for block in self.blocks:
            x_BTD = block(x_BTD, *seen)
        return self.norm(x_BTD)

    def ring(self, batch: int, length: int, fixed: bool) -> Ring:
        """Keys and values of the last `context` positions, or of all of a shorter sequence."""
        config, like = self.config, self.norm.get_parameter("weight")
        slots = min(length + 1, config.context)
        size = (config.layers, 2, batch, config.heads, slots, config.head_width)
        clock = torch.zeros(1, dtype=torch.long, device=like.device) if fixed else None
        # unfilled slots are never read; fixed steps mask them, so they must not be NaN
        kept = like.new_zeros(size) if fixed else like.new_empty(size)
        return Ring(kept, config.context, clock=clock)

    def weights(self) -> list["Weights"]:
        """Weights of the blocks; the look-up is slow compared with a step, so it is done once."""
        return [cast(Block, block).weights() for block in self.blocks]


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)).

    attention: a module with weights `qkv` (D, 3 D) and `out` (D, D).
    """

    def __init__(self, config: StackConfig, attention: nn.Module) -> None:
        super().__init__()
        self.kinds = config.norm, config.feed_forward
        self.between, columns, share = FEED_FORWARDS[config.feed_forward]
        inner = aligned(int(share * config.expansion * config.width))
        self.attention = attention
        self.norm_attention = NORMS[config.norm](config.width)
        self.norm_forward = NORMS[config.norm](config.width)
        self.side_by_side = {"up": columns}
        self.up = matrix(config.width, columns * inner)
        self.down = matrix(inner, config.width, config.gain)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, *seen: object) -> Tensor:
        """Shape (B, T, D)."""
        x_BTD = x_BTD + self.dropout(self.attention(self.norm_attention(x_BTD), *seen))
        inner = self.between(self.norm_forward(x_BTD) @ self.up)
        return x_BTD + self.dropout(inner @ self.down)

    def weights(self) -> "Weights":
        """The weights for `step`."""
        norm = NORM_STEPS[self.kinds[0]]
        return Weights(
            norm_attention=norm(self.norm_attention.get_parameter("weight")),
            qkv=self.attention.get_parameter("qkv"),
            out=self.attention.get_parameter("out"),
            norm_forward=norm(self.norm_forward.get_parameter("weight")),
            up=self.up,
            between=self.between,
            down=self.down,
        )


class Weights(NamedTuple):
    """Weights and functions of a block for `step`; matrices are (inputs, outputs)."""

    norm_attention: NormStep
    qkv: Tensor
    out: Tensor
    norm_forward: NormStep
    up: Tensor
    between: Callable[[Tensor], Tensor]
    down: Tensor


def step(x_BD: Tensor, weights: Weights, attend: Callable[[Tensor], Tensor]) -> Tensor:
    """A block at one position; attend: maps queries, keys and values (B, 3 D) to (B, D)."""
    qkv_BX = weights.norm_attention(x_BD) @ weights.qkv
    x_BD = torch.addmm(x_BD, attend(qkv_BX), weights.out)
    inner = weights.between(weights.norm_forward(x_BD) @ weights.up)
    return torch.addmm(x_BD, inner, weights.down)
