"""A U-Net over time: sixteenths, eighths and quarters, with attention among the quarters.

The network of Ho 2020 (appendix B) in one dimension, with the blocks of ConvNeXt (Liu 2022): a
depth-wise convolution and a gated feed-forward cost a CPU a third of two full convolutions. Norms
are over the channels of one position, so what lies beside a piece in a batch changes nothing.
"""

# B batch, T positions, D width, N heads, E width of a head, C width of the noise level's vector

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.layers.blocks import matrix, swiglu
from ostinato.models.layers.rotary import rotary_table, rotate

KERNEL = 7  # positions
EXPANSION = 2


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Settings of a U-Net and of the vector that tells it the noise level.

    widths: of the levels, each half as long as the one before; depths: blocks of each level on the
    way down, and again on the way up; the last level has them once, with attention. level_width: of
    the vector of the noise level. heads: of attention. context: how many positions of the last
    level one sees to each side.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    level_width: int = 128
    heads: int = 4
    context: int = 16
    dropout: float = 0.1

    def __post_init__(self) -> None:
        sizes = f"widths={list(self.widths)} and depths={list(self.depths)}"
        if len(self.widths) != len(self.depths) or not self.widths:
            raise ValueError(f"{sizes} must name as many levels")
        for name in ("heads", "context", "level_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if min(*self.widths, *self.depths) < 1 or self.widths[-1] % (2 * self.heads):
            raise ValueError(
                f"{sizes} must be at least 1, the last width a multiple of twice heads={self.heads}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")


class UNet(nn.Module):
    """Levels of blocks; see UNetConfig."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths, depths = config.widths, config.depths
        self.step = 2 ** (len(widths) - 1)

        def blocks(number: int) -> nn.ModuleList:
            width, count = widths[number], depths[number]
            made = (Block(width, config.level_width, config.dropout) for _ in range(count))
            return nn.ModuleList(made)

        above = range(len(widths) - 1)
        self.down = nn.ModuleList(blocks(number) for number in above)
        self.merge = nn.ParameterList(
            matrix(2 * widths[number], widths[number + 1]) for number in above
        )
        self.middle = blocks(-1)
        self.attend = nn.ModuleList(
            Attention(widths[-1], config.heads, config.context, config.dropout) for _ in self.middle
        )
        self.split = nn.ParameterList(
            matrix(widths[number + 1], 2 * widths[number]) for number in above
        )
        self.up = nn.ModuleList(blocks(number) for number in above)
        self.norm = nn.RMSNorm(widths[0])

    def forward(self, x_BTD: Tensor, level_BC: Tensor, held_BT: Tensor) -> Tensor:
        """Outputs of shape (B, T, D); held: which positions belong to the piece."""
        length = x_BTD.shape[1]
        more = -length % self.step
        x_BTD, held_BT = F.pad(x_BTD, (0, 0, 0, more)), F.pad(held_BT, (0, more))
        kept: list[tuple[Tensor, Tensor]] = []
        for blocks, merge in zip(self.down, self.merge, strict=True):
            for block in blocks:  # type: ignore[attr-defined]
                x_BTD = block(x_BTD, level_BC, held_BT)
            kept.append((x_BTD, held_BT))
            batch, pairs = len(x_BTD), x_BTD.shape[1] // 2
            x_BTD = (x_BTD * held_BT[..., None]).reshape(batch, pairs, -1) @ merge
            held_BT = held_BT.view(batch, pairs, 2).any(dim=2)
        for attend, block in zip(self.attend, self.middle, strict=True):
            x_BTD = block(attend(x_BTD, held_BT), level_BC, held_BT)
        for blocks, split in zip(reversed(self.up), reversed(self.split), strict=True):
            skipped_BTD, held_BT = kept.pop()
            x_BTD = (x_BTD @ split).view_as(skipped_BTD) + skipped_BTD
            for block in blocks:  # type: ignore[attr-defined]
                x_BTD = block(x_BTD, level_BC, held_BT)
        normed: Tensor = self.norm(x_BTD[:, :length])
        return normed


class Block(nn.Module):
    """x + convolution(norm(x)), then x + feed_forward(norm(x)), scaled and shifted by the level."""

    def __init__(self, width: int, level_width: int, dropout: float) -> None:
        super().__init__()
        inner = EXPANSION * width
        self.near = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.by_level = nn.Linear(level_width, 2 * width)
        self.side_by_side = {"up": 2}
        self.up = matrix(width, 2 * inner)
        self.down = nn.Parameter(torch.zeros(inner, width))
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.by_level.weight)
        nn.init.zeros_(self.by_level.bias)

    def forward(self, x_BTD: Tensor, level_BC: Tensor, held_BT: Tensor) -> Tensor:
        """Shape (B, T, D)."""
        near, forward = self.norms
        around_BTD = near(x_BTD) * held_BT[..., None]
        x_BTD = x_BTD + self.near(around_BTD.transpose(1, 2)).transpose(1, 2)
        scale_B1D, shift_B1D = self.by_level(level_BC)[:, None].chunk(2, dim=-1)
        y_BTD = forward(x_BTD) * (1 + scale_B1D) + shift_B1D
        return x_BTD + self.dropout(swiglu(y_BTD @ self.up)) @ self.down


class Attention(nn.Module):
    """x + attention(norm(x)) with rotary positions (Su 2021)."""

    def __init__(self, width: int, heads: int, context: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.context = heads, context
        self.norm = nn.RMSNorm(width)
        self.side_by_side = {"qkv": 3}
        self.qkv = matrix(width, 3 * width)
        self.out = nn.Parameter(torch.zeros(width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, held_BT: Tensor) -> Tensor:
        """Shape (B, T, D)."""
        batch, length, width = x_BTD.shape
        steps_T = torch.arange(length, device=x_BTD.device)
        far_TT = (steps_T[:, None] - steps_T).abs()
        # a position that is not held sees itself: a softmax over nothing is not a number
        seen_BTT = ((far_TT <= self.context) & held_BT[:, None, :]) | (far_TT == 0)
        qkv = (self.norm(x_BTD) @ self.qkv).view(batch, length, 3 * self.heads, -1)
        qk, v = torch.split(qkv, [2 * self.heads, self.heads], dim=2)
        turned = rotate(qk, rotary_table(length, width // self.heads, x_BTD.device))
        q_BNTE, k_BNTE, v_BNTE = (
            part.transpose(1, 2) for part in (*torch.split(turned, self.heads, dim=2), v)
        )
        y_BNTE = F.scaled_dot_product_attention(q_BNTE, k_BNTE, v_BNTE, attn_mask=seen_BTT[:, None])
        y_BTD = y_BNTE.transpose(1, 2).reshape(batch, length, width)
        return x_BTD + self.dropout(y_BTD @ self.out)
