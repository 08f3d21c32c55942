"""Attributes that vectors can be moved along: how much moves, and how high the music lies.

The first numbers of a vector are trained to be them, in standard deviations from their means.
"""

# N segments, L places, V voices, A attributes

import torch
from torch import Tensor

from ostinato.models.spec import PAD, Voices
from ostinato.models.variational.parts.segments import Segments

ATTRIBUTES = ("density", "register")
# mean and standard deviation over the beats of Bach's chorales, so that both have a like size
DENSITY = (0.23, 0.11)  # notes that begin, for each cell
REGISTER = (25.1, 3.7)  # semitones above the lowest pitch of the grid


def attributes_of(segments: Segments, voices: Voices | None) -> Tensor:
    """Density and register of every segment in standard deviations from the mean, (N, A).

    Without pitches, register is 0.
    """
    cells = segments.cells
    last = torch.cat([segments.before[:, None], cells[:, :-1]], dim=1)
    held = cells != PAD
    begins = held & (cells != last)
    if voices and voices.hold >= 0:
        begins &= cells != voices.hold
    count = held.sum(dim=(1, 2)).clamp(min=1)
    density = (begins.sum(dim=(1, 2)) / count - DENSITY[0]) / DENSITY[1]
    if voices is None:
        return torch.stack([density, torch.zeros_like(density)], dim=1)
    above = cells - voices.lowest
    sounds = held & (above >= 0) & (above < voices.pitches)
    total = (above * sounds).sum(dim=(1, 2)).float()
    mean = total / sounds.sum(dim=(1, 2)).clamp(min=1)
    register = torch.where(sounds.any(dim=2).any(dim=1), (mean - REGISTER[0]) / REGISTER[1], 0.0)
    return torch.stack([density, register], dim=1)
