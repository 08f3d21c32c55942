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
WINDOWS = (4,)  # steps before and after whose mean is read
KEY = 16  # steps to each side that tell what pitches are around


class Intervals(nn.Module):
    """Adds to logits what a first estimate of all voices says through intervals."""

    index_PP: Tensor

    def __init__(self, columns: int, spec: Voices, level_width: int) -> None:
        super().__init__()
        self.lowest, self.pitches = spec.lowest, spec.pitches
        planes = columns * (1 + 2 * len(WINDOWS)) + 1
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
    """Each voice now, its means over the steps before and after, and all pitches around, flat."""
    batch, length, voices, pitches = chances_BTVP.shape
    total = F.pad(chances_BTVP.flatten(2).cumsum(dim=1), (0, 0, 1, 0))  # (B, T + 1, V P)

    def mean(first: int, end: int) -> Tensor:
        """Over the steps from `first` up to before `end`, as seen from each."""
        steps_T = torch.arange(length, device=total.device)
        low_T, high_T = (steps_T + first).clamp(0, length), (steps_T + end).clamp(0, length)
        return (total[:, high_T] - total[:, low_T]) / (end - first)

    parts = [chances_BTVP.flatten(2)]
    for window in WINDOWS:
        parts += [mean(-window, 0), mean(1, window + 1)]
    key_BTVP = mean(-KEY, KEY + 1).view(batch, length, voices, pitches)
    return torch.cat([*parts, key_BTVP.sum(dim=2)], dim=-1)
