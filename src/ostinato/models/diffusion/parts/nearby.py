"""What noisy steps before and after say about a key of the same voice, the same for every pitch."""

# B batch, T positions, V voices, S symbols, C width of the level's vector, R reach

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REACH = 8  # steps to each side
FINEST = 8.0  # nats of evidence beyond which more says no more
STAY = 160.0  # odds of a note that goes on against one certain pitch among all


class Nearby(nn.Module):
    """Weighted sums over time of two forms of a key's evidence, with weights by noise level.

    Where single cells say little their evidence is added up. Where they are certain, what counts is
    the logarithm of 1 + STAY · p: the odds of a chain that stays at its value.
    """

    def __init__(self, voices: int, level_width: int) -> None:
        super().__init__()
        self.voices = voices
        self.taps = nn.Linear(level_width, 2 * voices * (2 * REACH + 1))
        nn.init.zeros_(self.taps.weight)
        nn.init.zeros_(self.taps.bias)

    def forward(self, own_BTVS: Tensor, level_BC: Tensor) -> Tensor:
        """What to add to the logits, (B, T, V, S). own: evidence of each cell, 0 where none is."""
        batch, length, voices, _ = own_BTVS.shape
        faint = FINEST * torch.tanh((own_BTVS - own_BTVS.mean(dim=-1, keepdim=True)) / FINEST)
        sure = torch.log1p(STAY * own_BTVS.softmax(dim=-1))
        sure = sure - sure.mean(dim=-1, keepdim=True)
        taps = self.taps(level_BC).view(batch, voices, 2, 2 * REACH + 1)
        both = torch.cat([faint, sure], dim=1).transpose(1, 2)  # B, V, 2 T, S
        return (_bands(taps, length) @ both).transpose(1, 2)


def _bands(taps: Tensor, length: int) -> Tensor:
    """Matrices that sum over time with these taps, (B, V, T, 2 T): products cost a CPU less than
    convolutions with as many kernels as voices and pieces.
    """
    wide = F.pad(taps, (length - 1 - REACH, length - REACH))  # (…, 2 T), the middle at T - 1
    rows = wide[..., None, :].expand(*wide.shape[:-1], length, 2 * length).flatten(-2)
    # each row begins one later: (…, T, 2 T - 1)
    skewed = rows[..., : length * (2 * length - 1)].unflatten(-1, (length, -1))  # type: ignore[no-untyped-call]
    bands: Tensor = skewed[..., length - 1 :].transpose(2, 3).flatten(-2)
    return bands
