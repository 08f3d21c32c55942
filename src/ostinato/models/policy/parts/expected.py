"""Counts that are expected of a model, without drawing anything.

After each prefix of a clip a model has probabilities of all symbols. Those that would move in
parallel with another voice, turn a line back or complete a chord are known, so the expected counts
are sums of probabilities and differentiable. rows.py has those of whole rows.
"""

# N clips, T positions, W sub-tokens of a position, V symbols, P pitches, K voices

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.autoregressive.parts.intervals import sounding_rows
from ostinato.models.policy.parts.rows import NOTHING, STATISTICS, Chords, RowCounts
from ostinato.models.spec import PAD, Voices

FIFTH, OCTAVE = 7, 12
DISSONANT = (1, 2, 6, 10, 11)  # modulo 12
CELLS = (
    "parallels",
    "contrary",
    "turns",
    "stepwise",
    "semitones",
    "held",
    "dissonant_pairs",
    "range",
)  # statistics of single cells, beside those of rows
EXPECTED = (*CELLS, *STATISTICS)


@dataclass(frozen=True)
class Expected:
    """counts: by statistic, what is expected above and below the line, (2,), summed over the clips.
    kl: the divergence from the base by clip in nats, (N,).
    """

    counts: dict[str, Tensor]
    kl: Tensor


@dataclass(frozen=True)
class Decoded:
    """How symbols are drawn: with what the clips were drawn with, see sampling/autoregressive."""

    top_p: float = 1.0
    split: float = 0.0
    motion: float = 1.0

    def probabilities(self, log_NTKV: Tensor, before_NTK: Tensor) -> Tensor:
        """Of the symbols of voices; with split, staying on the symbol before is drawn first.

        log_NTKV: the model's own. before_NTK: symbols of the last row, those of the first any.
        """
        if not self.split:
            return self._kept(log_NTKV.exp())
        at = before_NTK[..., None]
        stays = log_NTKV.gather(-1, at).exp().clamp(1e-6, 1 - 1e-6)
        stays = torch.sigmoid(torch.logit(stays) / self.motion)
        is_stay = torch.zeros_like(log_NTKV, dtype=torch.bool).scatter_(-1, at, True)
        others = (log_NTKV.masked_fill(is_stay, -1e9) / self.split).softmax(dim=-1)
        drawn_NTKV = torch.where(is_stay, stays, (1 - stays) * self._kept(others))
        first = self._kept((log_NTKV[:, :1] / self.split).softmax(dim=-1))
        return torch.cat([first, drawn_NTKV[:, 1:]], dim=1)

    def _kept(self, probs: Tensor) -> Tensor:
        """Without what lies beyond top_p."""
        if self.top_p == 1:
            return probs
        falling, order = probs.detach().sort(dim=-1, descending=True, stable=True)
        inside = falling.cumsum(dim=-1) - falling < self.top_p
        kept = probs * torch.zeros_like(inside).scatter_(-1, order, inside)
        return kept / kept.sum(dim=-1, keepdim=True)


class Expectations:
    """Counts some of EXPECTED, on the CPU. model: of which family and shape; chords: tables of
    sonorities.

    decoded: how what is counted is drawn.
    """

    def __init__(
        self,
        model: nn.Module,
        names: Sequence[str],
        chords: Chords,
        decoded: Decoded = Decoded(),
    ) -> None:
        self.decoded = decoded
        own: Any = model
        self.voices: Voices = own.shape.voices
        self.columns = [c for c in own.order if self.voices.first <= c < self.voices.end]
        self.symbols: int = own.shape.vocabulary
        pitch_V = torch.arange(self.symbols) - self.voices.lowest
        inside_V = (pitch_V >= 0) & (pitch_V < self.voices.pitches)
        self.names = tuple(names)
        rows = [name for name in names if name in STATISTICS]
        order = [column - self.voices.first for column in self.columns]
        self.rows = RowCounts(rows, chords, torch.where(inside_V, pitch_V, -1), order)

    def fit(self, tokens_NTW: Tensor, beat_NT: Tensor) -> None:
        """Learn from clips what rows become, see rows.py. beat_NT: rows on beats."""
        self.rows.fit(self.pitches(tokens_NTW), beat_NT, (tokens_NTW != PAD).all(dim=-1))

    def pitches(self, tokens_NTW: Tensor) -> Tensor:
        """What sounds, from the lowest pitch, (N, T, K); -1 for nothing."""
        now_NTW = sounding_rows(tokens_NTW, self.voices.hold) - self.voices.lowest
        now_NTK = now_NTW[..., self.voices.first : self.voices.end]
        return torch.where((now_NTK >= 0) & (now_NTK < self.voices.pitches), now_NTK, -1)

    def of(
        self, model: nn.Module, base: nn.Module, tokens_NTW: Tensor, beat_NT: Tensor
    ) -> Expected:
        """Under a model, after every prefix of clips, those within their prompts included."""
        log_NTWV = log_probabilities(model, tokens_NTW)
        with torch.no_grad():
            base_NTWV = log_probabilities(base, tokens_NTW)
        probs_NTWV = log_NTWV.exp()
        kl_NTW = (probs_NTWV * (log_NTWV - base_NTWV)).sum(dim=-1)
        kl_N = (kl_NTW * (tokens_NTW != PAD)).sum(dim=(1, 2))
        voices = slice(self.voices.first, self.voices.end)
        before_NTK = F.pad(tokens_NTW[:, :-1, voices], (0, 0, 1, 0)).clamp(min=0)
        drawn_NTKV = self.decoded.probabilities(log_NTWV[..., voices, :], before_NTK).cpu()
        return Expected(self.counts(drawn_NTKV, tokens_NTW.cpu(), beat_NT.cpu()), kl_N)

    def counts(self, voices_NTKV: Tensor, tokens_NTW: Tensor, beat_NT: Tensor) -> dict[str, Tensor]:
        """What is expected above and below the line by statistic, of these probabilities."""
        pitch_NTK, real_NT = self.pitches(tokens_NTW), (tokens_NTW != PAD).all(dim=-1)
        found = self.rows.expected(voices_NTKV, pitch_NTK, beat_NT, real_NT)
        weight_NTKV = voices_NTKV * real_NT[..., None, None]
        for name in CELLS:
            if name in self.names:
                choices = getattr(self, name)(pitch_NTK)
                found[name] = torch.stack([(c * weight_NTKV).sum() for c in choices])
        return found

    def parallels(self, pitch_NTK: Tensor) -> tuple[Tensor, Tensor]:
        """By symbol, with how many voices chosen before it each would keep a fifth or an octave,
        and with how many it would move in one direction, (N, T, K, V) each.
        """
        before_NTK = F.pad(pitch_NTK[:, :-1], (0, 0, 1, 0), value=-1)
        kept_NTKV = torch.zeros((*pitch_NTK.shape, self.symbols), device=pitch_NTK.device)
        together_NTKV = torch.zeros_like(kept_NTKV)
        pitch_V, order = self.rows.pitch_V, self.rows.order
        for place, mine in enumerate(order):
            for other in order[:place]:
                own, was = before_NTK[..., mine, None], before_NTK[..., other, None]
                new = pitch_NTK[..., other, None]
                known = (own >= 0) & (was >= 0) & (new >= 0) & (pitch_V >= 0)
                together = known & ((pitch_V - own).sign() == (new - was).sign()) & (new != was)
                size = (own - was).abs() % OCTAVE
                keeps = together & ((pitch_V - new).abs() % OCTAVE == size)
                kept_NTKV[..., mine, :] += keeps & ((size == 0) | (size == FIFTH))
                together_NTKV[..., mine, :] += together
        return kept_NTKV, together_NTKV

    def contrary(self, pitch_NTK: Tensor) -> tuple[Tensor, Tensor]:
        """By symbol, with how many voices chosen before it each would move in opposite directions,
        and with how many that move it would move at all, (N, T, K, V) each.
        """
        before_NTK = F.pad(pitch_NTK[:, :-1], (0, 0, 1, 0), value=-1)
        known = (before_NTK >= 0) & (pitch_NTK >= 0)
        way_NTK = torch.where(known, (pitch_NTK - before_NTK).sign(), 0)
        pitch_V, own_NTK1 = self.rows.pitch_V, before_NTK[..., None]
        own_NTKV = (pitch_V - own_NTK1).sign() * ((pitch_V >= 0) & (own_NTK1 >= 0))
        against_NTKV = torch.zeros((*pitch_NTK.shape, self.symbols), device=pitch_NTK.device)
        both_NTKV = torch.zeros_like(against_NTKV)
        for place, mine in enumerate(self.rows.order):
            for other in self.rows.order[:place]:
                product = own_NTKV[..., mine, :] * way_NTK[..., other, None]
                against_NTKV[..., mine, :] += product < 0
                both_NTKV[..., mine, :] += product != 0
        return against_NTKV, both_NTKV

    def semitones(self, pitch_NTK: Tensor) -> tuple[Tensor, Tensor]:
        """By symbol, whether it would move the line of its voice by one semitone, and whether it
        would move it at all, (N, T, K, V) each. Rests do not end a line.
        """
        return self._moves(pitch_NTK, 1)

    def stepwise(self, pitch_NTK: Tensor) -> tuple[Tensor, Tensor]:
        """The same of one or two semitones."""
        return self._moves(pitch_NTK, 2)

    def _moves(self, pitch_NTK: Tensor, most: int) -> tuple[Tensor, Tensor]:
        line_NTK = _last(pitch_NTK, pitch_NTK >= 0)
        own = F.pad(line_NTK[:, :-1], (0, 0, 1, 0), value=-1)[..., None]
        pitch_V = self.rows.pitch_V
        moves = (pitch_V >= 0) & (own >= 0) & (pitch_V != own)
        return (moves & ((pitch_V - own).abs() <= most)).float(), moves.float()

    def held(self, pitch_NTK: Tensor) -> tuple[Tensor, Tensor]:
        """By symbol, whether it would hold its voice's pitch, and whether it sounds, (N, T, K, V)
        each.
        """
        own = F.pad(pitch_NTK[:, :-1], (0, 0, 1, 0), value=-1)[..., None]
        sounds = (self.rows.pitch_V >= 0).expand(*own.shape[:-1], -1)
        return (sounds & (self.rows.pitch_V == own)).float(), sounds.float()

    def dissonant_pairs(self, pitch_NTK: Tensor) -> tuple[Tensor, Tensor]:
        """By symbol, with how many voices chosen before it each would be dissonant, and with how
        many it would sound, (N, T, K, V) each.
        """
        clash_NTKV = torch.zeros((*pitch_NTK.shape, self.symbols), device=pitch_NTK.device)
        pairs_NTKV = torch.zeros_like(clash_NTKV)
        pitch_V, order = self.rows.pitch_V, self.rows.order
        is_dissonant = torch.isin(torch.arange(OCTAVE), torch.tensor(DISSONANT))
        for place, mine in enumerate(order):
            for other in order[:place]:
                there = pitch_NTK[..., other, None]
                pair = (there >= 0) & (pitch_V >= 0)
                pairs_NTKV[..., mine, :] += pair
                clash_NTKV[..., mine, :] += pair & is_dissonant[(pitch_V - there).abs() % OCTAVE]
        return clash_NTKV, pairs_NTKV

    def range(self, pitch_NTK: Tensor) -> tuple[Tensor, Tensor]:
        """By symbol, by how many semitones it would widen the range of its voice in the clip so
        far, and whether it would be its first pitch, (N, T, K, V) each.
        """
        sounds_NTK = pitch_NTK >= 0
        high_NTK = pitch_NTK.cummax(dim=1).values
        low_NTK = torch.where(sounds_NTK, pitch_NTK, NOTHING).cummin(dim=1).values
        high = F.pad(high_NTK[:, :-1], (0, 0, 1, 0), value=-1)[..., None]
        low = F.pad(low_NTK[:, :-1], (0, 0, 1, 0), value=NOTHING)[..., None]
        pitch_V = self.rows.pitch_V
        wider = torch.maximum(pitch_V - high, low - pitch_V).clamp(min=0)
        known, sounds_V = high >= 0, pitch_V >= 0
        return (wider * (known & sounds_V)).float(), (~known & sounds_V).float()

    def turns(self, pitch_NTK: Tensor) -> tuple[Tensor, Tensor]:
        """By symbol, whether it would turn the line of its voice back, and whether it would move it
        at all after an earlier move, (N, T, K, V) each. Rests do not end a line.
        """
        line_NTK = _last(pitch_NTK, pitch_NTK >= 0)
        before_NTK = F.pad(line_NTK[:, :-1], (0, 0, 1, 0), value=-1)
        move_NTK = torch.where(before_NTK >= 0, (line_NTK - before_NTK).sign(), 0)
        heading_NTK = _last(move_NTK, move_NTK != 0).clamp(min=-1)
        heading_NTK = F.pad(heading_NTK[:, :-1], (0, 0, 1, 0))[..., None]
        pitch_V, own = self.rows.pitch_V, before_NTK[..., None]
        moves = (pitch_V >= 0) & (own >= 0) & (pitch_V != own) & (heading_NTK != 0)
        return (moves & ((pitch_V - own).sign() != heading_NTK)).float(), moves.float()


def log_probabilities(model: nn.Module, tokens_NTW: Tensor) -> Tensor:
    """Of every sub-token after its prefix, (N, T, W, V); differentiable."""
    last: Any = model.intervals or model.chain
    found: list[Tensor] = []
    hook = last.register_forward_hook(lambda _, __, logits: found.append(logits))
    try:
        model.score(tokens_NTW)  # type: ignore[operator]
    finally:
        hook.remove()
    return found[0].float().log_softmax(dim=-1)


def _last(values_NTK: Tensor, there_NTK: Tensor) -> Tensor:
    """At each position the last value up to it that is there; the first one before any."""
    steps_T1 = torch.arange(values_NTK.shape[1], device=values_NTK.device)[:, None]
    at_NTK = torch.where(there_NTK, steps_T1, 0).cummax(dim=1).values
    return values_NTK.gather(1, at_NTK)
