"""Rows of a grid as piano rolls, one for each voice, and back.

A voice's roll has one key for each symbol of its cells: a rest, every pitch of the encoding, and
"goes on" where the encoding tells held notes from repeated ones. In every step exactly one key is
1, all others are 0. So rows → rolls → rows is exact, and noisy rolls become rows by the key with
the largest value.
"""

# B batch, T positions, V voices, S symbols of a voice

import torch
from torch import Tensor

REST = 0


def rolls_of(cells_BTV: Tensor, free_BTV: Tensor, symbols: int) -> Tensor:
    """Rolls, (B, T, V, S), in 32 bits; 0 throughout where a cell is no music."""
    known_BTV = torch.where(free_BTV, cells_BTV, 0)
    rolls_BTVS = torch.zeros(*cells_BTV.shape, symbols, device=cells_BTV.device)
    return rolls_BTVS.scatter_(-1, known_BTV[..., None], free_BTV[..., None].float())


def cells_of(rolls_BTVS: Tensor, hold: int = -1) -> Tensor:
    """The key with the largest value, (B, T, V).

    hold: the key of "goes on", -1 where there is none; where nothing sounds it becomes a rest.
    """
    cells_BTV = rolls_BTVS.argmax(dim=-1)
    if hold < 0:
        return cells_BTV
    steps_T1 = torch.arange(cells_BTV.shape[1], device=cells_BTV.device)[:, None]
    begins_BTV = torch.where(cells_BTV == hold, -1, steps_T1).cummax(dim=1).values
    begun_BTV = cells_BTV.gather(1, begins_BTV.clamp(min=0))
    silent_BTV = (begins_BTV < 0) | (begun_BTV == REST)
    return torch.where((cells_BTV == hold) & silent_BTV, REST, cells_BTV)
