"""The critic: a number for each strip of bars, higher for what looks real.

Beside the planes it is shown what voices do to each other in any key: products of the Fourier
transforms of two voices' pitches, which hold the same as their intervals. There is one for each
pair of voices at a step (harmony), and for each voice and itself a step, a beat and a bar before
(melody, repetition). Twelve numbers are of pitch classes; LOW more frequencies tell octaves apart.
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
LOW = 3  # periods of 2, 4 and 8 octaves
WAVES = CLASSES + 2 * LOW


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
        self.lags = (1, form.bar_steps // BEATS, form.bar_steps)
        products = WAVES * (len(pairs) + form.count * len(self.lags))
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
        before = [F.pad(waves_BTVF, (0, 0, 0, 0, lag, 0))[:, :-lag] for lag in self.lags]
        above = torch.cat([waves_BTVF[:, :, self.upper], *[waves_BTVF] * len(before)], dim=2)
        below = torch.cat([waves_BTVF[:, :, self.lower], *before], dim=2)
        return _products(above, below).flatten(2)


def _waves(pitches: int) -> Tensor:
    """Cosines, then sines of pitches, (C, 18): of pitch classes, which have a constant, five
    periods and one without a sine, and of LOW longer periods.
    """
    numbers_C1 = torch.arange(pitches)[:, None]
    periods = torch.cat([CLASSES / torch.arange(1, 6), CLASSES * 2.0 ** torch.arange(1, LOW + 1)])
    angles = 2 * math.pi * numbers_C1 / periods
    constant, fastest = torch.ones(pitches, 1), (math.pi * numbers_C1).cos()
    return torch.cat([constant, fastest, angles.cos(), angles.sin()], dim=1)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """The transform of one times the conjugate of the other's, in the form of `_waves`."""
    half = WAVES // 2 - 1  # sines
    flat_a, cos_a, sin_a = torch.split(a, [2, half, half], dim=-1)
    flat_b, cos_b, sin_b = torch.split(b, [2, half, half], dim=-1)
    real, imaginary = cos_a * cos_b + sin_a * sin_b, sin_a * cos_b - cos_a * sin_b
    return torch.cat([flat_a * flat_b, real, imaginary], dim=-1)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)
