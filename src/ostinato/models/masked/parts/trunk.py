"""A transformer that sees both sides: rotary attention, depth-wise convolution, feed-forward."""

# B batch, T positions, D width, N heads, E width of a head

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.layers.blocks import NORMS, matrix, swiglu
from ostinato.models.layers.rotary import rotary_table, rotate

KERNEL = 9  # steps


class Trunk(nn.Module):
    """Blocks and a final norm. A position sees those at most `context` steps away."""

    def __init__(
        self, width: int, *, layers: int, heads: int, context: int, expansion: int, dropout: float
    ) -> None:
        super().__init__()
        gain = (3 * layers) ** -0.5
        inner = 32 * round(2 / 3 * expansion * width / 32) or width
        self.context, self.head_width = context, width // heads
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, inner, gain, dropout) for _ in range(layers)
        )
        self.norm = NORMS["rms"](width)

    def forward(self, x_BTD: Tensor, held_BT: Tensor) -> Tensor:
        """Outputs of shape (B, T, D); held: which positions belong to the piece."""
        length = x_BTD.shape[1]
        rotation = rotary_table(length, self.head_width, x_BTD.device)
        steps_T = torch.arange(length, device=x_BTD.device)
        near_TT = (steps_T[:, None] - steps_T).abs() <= self.context
        # a padded position sees itself: a softmax over nothing is not a number
        seen = (near_TT & held_BT[:, None, :]) | torch.eye(
            length, dtype=torch.bool, device=x_BTD.device
        )
        mask = None if bool(seen.all()) else seen[:, None]
        x_BTD = self.dropout(x_BTD)
        for block in self.blocks:
            x_BTD = block(x_BTD, rotation, mask, held_BT)
        normed: Tensor = self.norm(x_BTD)
        return normed


class Block(nn.Module):
    """x + attention(norm(x)), then x + convolution(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, width: int, heads: int, inner: int, gain: float, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.side_by_side = {"qkv": 3, "up": 2}
        self.qkv = matrix(width, 3 * width)
        self.out = matrix(width, width, gain)
        self.near = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width, bias=False)
        self.up = matrix(width, 2 * inner)
        self.down = matrix(inner, width, gain)
        self.norms = nn.ModuleList(NORMS["rms"](width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x_BTD: Tensor, rotation: Tensor, mask: Tensor | None, held_BT: Tensor
    ) -> Tensor:
        """Shape (B, T, D); mask: which positions each one sees, (B, 1, T, T); None: all."""
        attend, near, forward = self.norms
        x_BTD = x_BTD + self.dropout(self._attention(attend(x_BTD), rotation, mask))
        around_BTD = near(x_BTD) * held_BT[..., None]
        x_BTD = x_BTD + self.dropout(self.near(around_BTD.transpose(1, 2)).transpose(1, 2))
        return x_BTD + self.dropout(swiglu(forward(x_BTD) @ self.up) @ self.down)

    def _attention(self, x_BTD: Tensor, rotation: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, width = x_BTD.shape
        qkv = (x_BTD @ self.qkv).view(batch, length, 3 * self.heads, width // self.heads)
        qk, v = torch.split(qkv, [2 * self.heads, self.heads], dim=2)
        q, k = torch.split(rotate(qk, rotation), self.heads, dim=2)
        q_BNTE, k_BNTE, v_BNTE = (part.transpose(1, 2) for part in (q, k, v))
        with torch.autocast("cpu", enabled=False):  # half precision: five times as slow backward
            y_BNTE = F.scaled_dot_product_attention(
                q_BNTE.float(), k_BNTE.float(), v_BNTE.float(), attn_mask=mask
            ).to(q_BNTE.dtype)
        return y_BNTE.transpose(1, 2).reshape(batch, length, width) @ self.out
