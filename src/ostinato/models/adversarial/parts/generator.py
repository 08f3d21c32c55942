"""The generator: latent vectors of a piece and of its bars become voices, bar by bar in parallel.

A temporal generator as in MuseGAN (Dong et al. 2018, section 4.3): one vector says what the whole
piece has in common, one says what each bar has of its own, and the same bar generator makes every
bar. Convolutions over bars, beats and steps see the neighbours, so any number of bars can be made.

A voice is written by two kinds of neurons: whether a note begins at a step, and which pitch it
would have. Where none begins, the voice goes on with what it had. So notes last, and one neuron
decides where they end.

Known cells (a prompt, other voices) are encoded from steps to beats to bars and kept as they are;
MuseGAN calls this a track-conditional generator.
"""

# B batch, N bars of a strip, M = N - 2 of them that are made, S steps of a bar, T = M * S,
# V voices, C symbols, D, H, K widths of bars, beats and steps, Z latent width

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ostinato.models.adversarial.parts.neurons import Kind, fires, one_fires
from ostinato.models.adversarial.parts.rolls import MARGIN, Form

EDGE = 1  # bars beside those that are made, on each side
BEATS = 4  # of a bar: parts of equal length
FAR = 1e4


@dataclass(frozen=True)
class Strip:
    """Bars side by side and one bar more on each side, which may not exist.

    steps_BNS: which steps each bar has. edges_BN2: whether it is the piece's first, its last.
    shift_B: by how many semitones the piece was moved, see parts/rolls.py.
    """

    steps_BNS: Tensor
    edges_BN2: Tensor
    shift_B: Tensor

    @property
    def inner(self) -> Tensor:
        """The steps of the bars that are made, (B, T)."""
        return self.steps_BNS[:, EDGE:-EDGE].flatten(1)


@dataclass(frozen=True)
class Latent:
    """piece_BZ, bars_BNZ: of the whole and of each bar, normal. lots_BTV2: of stochastic neurons,
    from [0, 1): for onsets and for pitches.
    """

    piece_BZ: Tensor
    bars_BNZ: Tensor
    lots_BTV2: Tensor


class Generator(nn.Module):
    """Planes of voices, as rolls.planes_of makes them of real ones."""

    def __init__(self, form: Form, *, latent: int, width: int, neurons: Kind) -> None:
        super().__init__()
        self.form, self.latent, self.neurons = form, latent, neurons
        self.symbols = form.pitches + 1
        steps, voices = form.bar_steps, form.count
        bars, beats, cells = width, width * 2 // 3, width // 2  # D, H, K
        self.cells, self.beats = cells, beats
        self.known_steps = nn.Linear(voices * (self.symbols + 2), cells)
        self.known_beats = nn.Linear(cells * (steps // BEATS), beats)
        self.known_bars = nn.Linear(beats * BEATS, bars)
        self.start = nn.Linear(2 * latent + steps + 3, bars)
        self.key = nn.Embedding(2 * MARGIN, bars)
        self.over_bars = nn.ModuleList([Residual(bars), Residual(bars)])
        self.to_beats = nn.Linear(bars, beats * BEATS)
        self.over_beats = nn.ModuleList([Residual(beats), Residual(beats)])
        self.to_steps = nn.Linear(beats, cells * (steps // BEATS))
        self.over_steps = nn.ModuleList([Residual(cells)])
        self.norm = nn.RMSNorm(cells)
        self.to_pitches = nn.Linear(cells, voices * self.symbols)
        self.to_onsets = nn.Linear(cells, voices)
        self.place = nn.Parameter(0.1 * torch.randn(steps, cells))

    def forward(
        self,
        latent: Latent,
        strip: Strip,
        given_BTVC: Tensor,
        known_BTV: Tensor,
        neurons: Kind | None = None,
    ) -> Tensor:
        """Planes (B, T, V, C + 1) of the inner bars.

        Args:
            given_BTVC: planes of the known cells, 0 elsewhere. known_BTV: which these are.
            neurons: instead of the model's own kind.
        """
        kind = neurons or self.neurons
        x_BTK = self._features(latent, strip, given_BTVC, known_BTV)
        logits_BTVC = self.to_pitches(x_BTK).unflatten(-1, (self.form.count, self.symbols))
        logits_BTVC = logits_BTVC.masked_fill(self._outside(strip.shift_B)[:, None, None], -FAR)
        lots_BTV, pitch_lots_BTV = latent.lots_BTV2.unbind(-1)
        pitches_BTVC = one_fires(logits_BTVC, kind, pitch_lots_BTV)
        onsets_BTV = fires(self.to_onsets(x_BTK), kind, lots_BTV)
        return self._planes(onsets_BTV, pitches_BTVC, strip.inner, given_BTVC, known_BTV)

    def _features(
        self, latent: Latent, strip: Strip, given_BTVC: Tensor, known_BTV: Tensor
    ) -> Tensor:
        """Of every step, (B, T, K)."""
        seen = torch.cat([given_BTVC, known_BTV[..., None]], dim=-1).flatten(2)
        known_BTK = F.silu(self.known_steps(seen))
        known_BHH = F.silu(self.known_beats(folded(known_BTK, self.form.bar_steps // BEATS)))
        known_BMD = self.known_bars(folded(known_BHH, BEATS))
        steps_BNS = strip.steps_BNS.float()
        exists_BN1 = steps_BNS.amax(dim=-1, keepdim=True)
        piece_BNZ = latent.piece_BZ[:, None].expand_as(latent.bars_BNZ)
        parts = [piece_BNZ, latent.bars_BNZ, steps_BNS, strip.edges_BN2.float(), exists_BN1]
        x_BND = self.start(torch.cat(parts, dim=-1))
        x_BND = x_BND + self.key(strip.shift_B + MARGIN)[:, None]
        x_BND = x_BND + F.pad(known_BMD, (0, 0, EDGE, EDGE))
        for layer in self.over_bars:
            x_BND = layer(x_BND)
        x_BH = self.to_beats(x_BND[:, EDGE:-EDGE]).unflatten(-1, (BEATS, -1)).flatten(1, 2)
        x_BH = x_BH + known_BHH
        for layer in self.over_beats:
            x_BH = layer(x_BH)
        x_BTK = self.to_steps(x_BH).unflatten(-1, (self.form.bar_steps // BEATS, -1)).flatten(1, 2)
        bars = x_BTK.shape[1] // self.form.bar_steps
        x_BTK = x_BTK + known_BTK + self.place.repeat(bars, 1)
        for layer in self.over_steps:
            x_BTK = layer(x_BTK)
        return F.silu(self.norm(x_BTK))

    def _outside(self, shift_B: Tensor) -> Tensor:
        """Which symbols would be no pitch of the grid once moved back, (B, C)."""
        natural_BC = torch.arange(self.symbols, device=shift_B.device) - MARGIN - shift_B[:, None]
        outside = (natural_BC < 0) | (natural_BC >= self.form.voices.pitches)
        return outside & (torch.arange(self.symbols, device=shift_B.device) != self.form.rest)

    def _planes(
        self,
        onsets_BTV: Tensor,
        pitches_BTVC: Tensor,
        steps_BT: Tensor,
        given_BTVC: Tensor,
        known_BTV: Tensor,
    ) -> Tensor:
        """Planes: what begins, and what goes on until something else begins."""
        steps_BT1 = steps_BT[..., None]
        first_BT1 = steps_BT1 & (steps_BT.cumsum(dim=1) == 1)[..., None]
        begins_BTV = torch.where(known_BTV | first_BT1, 1.0, onsets_BTV) * steps_BT1
        starts_BTVC = torch.where(known_BTV[..., None], given_BTVC[..., :-1], pitches_BTVC)
        sounding_BTVC: Tensor = Held.apply(begins_BTV, starts_BTVC)  # type: ignore[no-untyped-call]
        before_BTVC = F.pad(sounding_BTVC, (0, 0, 0, 0, 1, 0))[:, :-1]
        same_BTV = (sounding_BTVC * before_BTVC).sum(dim=-1)
        begun_BTV = 1 - same_BTV
        if self.form.holds:
            again_BTV = same_BTV * begins_BTV * (1 - sounding_BTVC[..., self.form.rest])
            begun_BTV = torch.where(known_BTV, given_BTVC[..., -1], begun_BTV + again_BTV)
        planes = torch.cat([sounding_BTVC, begun_BTV[..., None]], dim=-1)
        return planes * steps_BT1[..., None]


class Held(torch.autograd.Function):
    """held(t) = begins(t) starts(t) + (1 − begins(t)) held(t − 1), from nothing at first.

    begins_BTV in [0, 1], starts_BTVC → held_BTVC. A loop without records of every step.
    """

    @staticmethod
    def forward(ctx: Any, begins_BTV: Tensor, starts_BTVC: Tensor) -> Tensor:
        """Forward in time."""
        held_BTVC = torch.empty_like(starts_BTVC)
        now_BVC = torch.zeros_like(starts_BTVC[:, 0])
        for step in range(starts_BTVC.shape[1]):
            now_BVC = torch.lerp(now_BVC, starts_BTVC[:, step], begins_BTV[:, step, :, None])
            held_BTVC[:, step] = now_BVC
        ctx.save_for_backward(begins_BTV, starts_BTVC, held_BTVC)
        return held_BTVC

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes_BTVC: Tensor) -> tuple[Tensor, Tensor]:
        """Backward in time: a note's start gets the slopes of all the steps that it lasts."""
        begins_BTV, starts_BTVC, held_BTVC = ctx.saved_tensors
        goes_on_BTV1 = (1 - begins_BTV)[..., None]
        sums_BTVC = slopes_BTVC.clone()
        for step in range(sums_BTVC.shape[1] - 2, -1, -1):
            sums_BTVC[:, step].addcmul_(goes_on_BTV1[:, step + 1], sums_BTVC[:, step + 1])
        before_BTVC = F.pad(held_BTVC, (0, 0, 0, 0, 1, 0))[:, :-1]
        begins = (sums_BTVC * (starts_BTVC - before_BTVC)).sum(dim=-1)
        return begins, sums_BTVC * begins_BTV[..., None]


class Residual(nn.Module):
    """A convolution over three neighbours, beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.around = nn.Linear(3 * width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Shape (B, T, D) → (B, T, D)."""
        result: Tensor = x_BTD + self.around(neighbours(F.silu(self.norm(x_BTD))))
        return result


def neighbours(x_BTD: Tensor) -> Tensor:
    """The position before, itself and the one after, (B, T, 3 D); 0 beyond the ends."""
    padded = F.pad(x_BTD, (0, 0, 1, 1))
    return torch.cat([padded[:, :-2], x_BTD, padded[:, 2:]], dim=-1)


def folded(x_BTD: Tensor, size: int) -> Tensor:
    """Neighbouring positions as one, (B, T / size, size * D)."""
    batch, length, width = x_BTD.shape
    return x_BTD.reshape(batch, length // size, size * width)
