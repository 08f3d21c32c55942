"""What intervals to all voices say about a pitch, the same in every key.

Two layers of convolutions over pitch, wide enough for every interval, as products with Toeplitz
matrices: a U-Net whose channels are pitches learns each key by itself, this learns all at once.
"""

# B batch, T positions, V voices, S symbols, P pitches, C width of the level's vector, N planes

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.spec import Voices

HIDDEN = 8  # planes between the layers
NEAR, KEY = 4, 16  # steps to each side: of a voice's mean, of the pitches that are around


class Intervals(nn.Module):
    """Adds to logits what a first estimate of all voices says through intervals."""

    index_PP: Tensor

    def __init__(self, columns: int, spec: Voices, level_width: int) -> None:
        super().__init__()
        self.lowest, self.pitches = spec.lowest, spec.pitches
        planes = 2 * columns + 1
        steps_P = torch.arange(spec.pitches)
        index_PP = steps_P - steps_P[:, None] + spec.pitches - 1  # from (rows) to (columns)
        self.register_buffer("index_PP", index_PP, persistent=False)
        intervals = 2 * spec.pitches - 1
        self.hear = nn.Parameter(torch.randn(planes, HIDDEN, intervals) * 0.1)
        self.say = nn.Parameter(torch.zeros(HIDDEN, columns, intervals))
        self.by_level = nn.Linear(level_width, 2 * HIDDEN)
        nn.init.zeros_(self.by_level.weight)
        nn.init.zeros_(self.by_level.bias)

    def forward(self, logits_BTVS: Tensor, held_BT: Tensor, level_BC: Tensor) -> Tensor:
        """The logits with what is added, (B, T, V, S)."""
        last = self.lowest + self.pitches
        chances_BTVS = logits_BTVS.softmax(dim=-1) * held_BT[..., None, None]
        around_BTN = _around(chances_BTVS[..., self.lowest : last])
        scale_BN, shift_BN = self.by_level(level_BC).chunk(2, dim=-1)
        heard_BTN = around_BTN @ self._matrix(self.hear)
        heard_BTNP = heard_BTN.unflatten(-1, (HIDDEN, self.pitches))  # type: ignore[no-untyped-call]
        heard_BTNP = heard_BTNP * (1 + scale_BN)[:, None, :, None] + shift_BN[:, None, :, None]
        said_BTN = F.silu(heard_BTNP).flatten(2) @ self._matrix(self.say)
        said_BTVP = said_BTN.view(*logits_BTVS.shape[:3], self.pitches)
        return logits_BTVS + F.pad(said_BTVP, (self.lowest, logits_BTVS.shape[-1] - last))

    def _matrix(self, table: Tensor) -> Tensor:
        """From planes of pitches to planes of pitches: (planes · P, planes · P)."""
        both = table[:, :, self.index_PP].transpose(1, 2)  # from plane, from pitch, to plane, to
        return both.reshape(len(table) * self.pitches, -1)


def _around(chances_BTVP: Tensor) -> Tensor:
    """Each voice now and in the mean over the steps near it, and all pitches around, flat."""
    length = chances_BTVP.shape[1]
    total_BTVP = F.pad(chances_BTVP.cumsum(dim=1), (0, 0, 0, 0, 1, 0))  # one step more
    steps_T = torch.arange(length, device=total_BTVP.device)

    def mean(reach: int) -> Tensor:
        first_T, end_T = (steps_T - reach).clamp(min=0), (steps_T + reach + 1).clamp(max=length)
        return (total_BTVP[:, end_T] - total_BTVP[:, first_T]) / (2 * reach + 1)

    parts = (chances_BTVP, mean(NEAR), mean(KEY).sum(dim=2, keepdim=True))
    return torch.cat(parts, dim=2).flatten(2)
