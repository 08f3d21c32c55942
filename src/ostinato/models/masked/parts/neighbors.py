"""The nearest known cells of a voice before and after each of its cells.

Most cells prolong a note. A model that sees only which cells are known must first learn that notes
are held; one that sees the nearest known cells of the same voice knows it from the start.
"""

# B batch, T positions, W voices

from typing import NamedTuple

import torch
from torch import Tensor

FARTHEST = 32  # steps; cells beyond it, and where none is known, look alike


class Neighbors(NamedTuple):
    """Symbols of the nearest known cells and their distances in steps, each (B, T, W).

    Where no cell is known the symbol is `unknown` and the distance FARTHEST. A known cell is its
    own neighbor, at distance 0.
    """

    before: Tensor
    after: Tensor
    since: Tensor
    until: Tensor


def nearest(cells_BTW: Tensor, known_BTW: Tensor, unknown: int) -> Neighbors:
    """The neighbors of every cell."""
    length = cells_BTW.shape[1]
    steps_T1 = torch.arange(length, device=cells_BTW.device)[:, None]
    last = torch.where(known_BTW, steps_T1, -1).cummax(dim=1).values
    coming = torch.where(known_BTW, steps_T1, length).flip(1).cummin(dim=1).values.flip(1)
    none, never = last < 0, coming == length
    before = cells_BTW.gather(1, last.clamp(min=0)).masked_fill(none, unknown)
    after = cells_BTW.gather(1, coming.clamp(max=length - 1)).masked_fill(never, unknown)
    since = (steps_T1 - last).masked_fill(none, FARTHEST).clamp(max=FARTHEST)
    until = (coming - steps_T1).masked_fill(never, FARTHEST).clamp(max=FARTHEST)
    return Neighbors(before, after, since, until)
