"""The critic: a number for each strip of bars, higher for what looks real.

Beside the planes it is shown what voices do to each other in any key: products of the Fourier
transforms of two voices' pitch classes, which hold the same as the intervals modulo an octave, for
each pair at a step (harmony) and for each voice and its step before (melody).
"""

# B batch, N bars of a strip, M = N - 2 inner bars, S steps of a bar, T = M * S, V voices, C symbols

import math
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.adversarial.parts.generator import BEATS, EDGE, Strip, folded, neighbours
from ostinato.models.adversarial.parts.rolls import CLASSES, MARGIN, Form

SLOPE = 0.2


class Critic(nn.Module):
    """Sees nothing but the planes of the inner bars, which steps they have, whether they are the
    piece's first or last, and by how much the piece was moved.
    """

    waves_CF: Tensor

    def __init__(self, form: Form, *, width: int) -> None:
        super().__init__()
        self.form = form
        pairs = list(combinations(range(form.count), 2))
        self.upper, self.lower = ([pair[side] for pair in pairs] for side in (0, 1))
        self.register_buffer("waves_CF", _waves(form.pitches), persistent=False)
        products = CLASSES * (len(pairs) + form.count)
        planes = form.count * (form.pitches + 2)
        steps, beats, bars = width // 2, width * 2 // 3, width
        self.from_planes = nn.Linear(planes, steps)
        self.from_intervals = nn.Linear(products + 1, steps, bias=False)
        self.place = nn.Parameter(0.1 * torch.randn(form.bar_steps, steps))
        self.from_beats = nn.Linear(steps * (form.bar_steps // BEATS), beats)
        self.over_beats = nn.Linear(3 * beats, beats)
        self.from_bars = nn.Linear(beats * BEATS + 2, bars)
        self.key = nn.Embedding(2 * MARGIN, bars)
        self.over_bars = nn.Linear(3 * bars, bars)
        self.out = nn.Linear(bars, 1)

    def forward(self, planes_BTVC: Tensor, strip: Strip) -> Tensor:
        """Shape (B,): the mean over the bars."""
        steps_BT1 = strip.inner.to(planes_BTVC.dtype)[..., None]
        intervals_BT = torch.cat([self.intervals(planes_BTVC), steps_BT1], dim=-1)
        bars = planes_BTVC.shape[1] // self.form.bar_steps
        x_BT = self.from_planes(planes_BTVC.flatten(2)) + self.from_intervals(intervals_BT)
        x_BT = x_BT + self.place.repeat(bars, 1)
        x_BH = self.from_beats(folded(_leaky(x_BT), self.form.bar_steps // BEATS))
        x_BH = x_BH + self.over_beats(neighbours(_leaky(x_BH)))
        edges_BM2 = strip.edges_BN2[:, EDGE:-EDGE].to(x_BH.dtype)
        x_BM = torch.cat([folded(_leaky(x_BH), BEATS), edges_BM2], dim=-1)
        x_BMD = self.from_bars(x_BM) + self.key(strip.shift_B + MARGIN)[:, None]
        x_BMD = x_BMD + self.over_bars(neighbours(_leaky(x_BMD)))
        score_B: Tensor = self.out(_leaky(x_BMD)).mean(dim=(1, 2))
        return score_B

    def intervals(self, planes_BTVC: Tensor) -> Tensor:
        """Transforms of the intervals between voices and from step to step, (B, T, …)."""
        waves_BTVF = planes_BTVC[..., : self.form.pitches] @ self.waves_CF
        before_BTVF = F.pad(waves_BTVF, (0, 0, 0, 0, 1, 0))[:, :-1]
        above = torch.cat([waves_BTVF[:, :, self.upper], waves_BTVF], dim=2)
        below = torch.cat([waves_BTVF[:, :, self.lower], before_BTVF], dim=2)
        return _products(above, below).flatten(2)


def _waves(pitches: int) -> Tensor:
    """Cosines and sines of a pitch class, seven and five: its real Fourier transform, (C, 12)."""
    classes_C1 = (torch.arange(pitches) % CLASSES)[:, None]
    angles = 2 * math.pi / CLASSES * classes_C1 * torch.arange(CLASSES // 2 + 1)
    return torch.cat([angles.cos(), angles[:, 1:-1].sin()], dim=1)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """The transform of one times the conjugate of the other's, in the form of `_waves`."""
    half = CLASSES // 2 + 1
    cos_a, cos_b = a[..., :half], b[..., :half]
    sin_a, sin_b = (F.pad(x[..., half:], (1, 1)) for x in (a, b))
    real = cos_a * cos_b + sin_a * sin_b
    imaginary = (sin_a * cos_b - cos_a * sin_b)[..., 1:-1]
    return torch.cat([real, imaginary], dim=-1)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)
