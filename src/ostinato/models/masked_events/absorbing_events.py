"""Absorbing-state diffusion over a stream of events: the objective of family absorbing for tokens.

Which kind a token is, how many onsets and notes a bar has and its meter are the outline of a piece,
with an exact distribution from left to right (parts/outline.py). Given it, the values of tokens,
positions, voices, pitches and durations, are hidden and filled in any order: a bound as in
models/masked/absorbing.py (Hoogeboom 2022, eq. 5 and 6). So every token that is filled is of the
kind that the stream needs there.

The network is the trunk of family absorbing over tokens. What it sees of notes beside their tokens
is in parts/notes.py; intervals to known pitches add to the logits of pitches, the same in every
key.
"""

# B batch, T positions, V vocabulary, D width, H hidden width, M hidden tokens, C codes, U voices

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.layers.conditions import ConditionInput
from ostinato.models.masked.absorbing import hide
from ostinato.models.masked.parts.intervals import Intervals
from ostinato.models.masked.parts.neighbors import FARTHEST
from ostinato.models.masked.parts.trunk import Trunk
from ostinato.models.masked_events.parts import kinds as names
from ostinato.models.masked_events.parts.kinds import METER, PITCH, VALUES, VOICE
from ostinato.models.masked_events.parts.notes import (
    LATER,
    LONGEST,
    UNKNOWN,
    Notes,
    around_of,
    notes_of,
)
from ostinato.models.masked_events.parts.outline import NOTES, ONSETS, Outline, counts_of
from ostinato.models.spec import PAD, ArraySpec, ConditionSpec, Given, Voices


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the family.

    pitch_count: how many pitches the encoding has. width: D. voice_hidden: H, of the predictor of a
    token. context: how many tokens away a token sees others. expansion: inner width of a
    feed-forward, in widths. skew: above 1, training draws more crops with much hidden and weighs
    them less.
    conditions: names of the encoding's conditions that are seen. condition_dropout: how often each
    is hidden in training, as a share of the pieces.
    """

    pitch_count: int = 46
    width: int = 128
    voice_hidden: int = 96
    layers: int = 4
    heads: int = 4
    context: int = 192
    expansion: int = 4
    dropout: float = 0.0
    skew: float = 1.0
    conditions: tuple[str, ...] = ()
    condition_dropout: float = 0.1

    blocks: ClassVar[int] = 0  # of training pieces none hides whole bars: their outline is told

    def __post_init__(self) -> None:
        for name in ("pitch_count", "voice_hidden", "layers", "heads", "context", "expansion"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.width % (2 * self.heads):
            raise ValueError(f"width={self.width} must be a multiple of twice heads={self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")
        if self.skew < 1:
            raise ValueError(f"skew={self.skew} must be at least 1")


class Seen(NamedTuple):
    """shown_BT: tokens, UNKNOWN where hidden or no music; their kinds; what is known of notes."""

    shown_BT: Tensor
    kinds_BT: Tensor
    notes: Notes


class Model(nn.Module):
    """p(hidden token | known tokens, outline, conditions)."""

    config: Config
    columns_V: Tensor
    kind_V: Tensor
    bar_steps_V: Tensor
    conditioning: ConditionInput | None

    def __init__(self, config: Config, spec: ArraySpec) -> None:
        super().__init__()
        self.kinds = names.kinds_of(spec, config.pitch_count)
        assert spec.timing is not None
        self.config, self.shape, self.symbols = config, spec, spec.vocabulary
        self.register_buffer("columns_V", torch.tensor([0]), persistent=False)
        self.register_buffer("kind_V", self.kinds.kind_V, persistent=False)
        bar_steps_V = torch.tensor(spec.timing.meter)
        self.register_buffer("bar_steps_V", bar_steps_V, persistent=False)
        voices, width, hidden = self.kinds.count_K[VOICE], config.width, config.voice_hidden
        self.outline = Outline(self.kinds)
        self.cells = _Codes(self._sizes(), width)
        self.own = _Codes(self._sizes(), hidden)
        self.conditioning = (
            ConditionInput(config.conditions, spec.conditions, width, config.condition_dropout)
            if config.conditions
            else None
        )
        self.trunk = Trunk(
            width,
            layers=config.layers,
            heads=config.heads,
            context=config.context,
            expansion=config.expansion,
            dropout=config.dropout,
        )
        self.to_tokens = nn.Linear(width, hidden, bias=False)
        self.norm = nn.RMSNorm(hidden)
        self.to_symbols = nn.Linear(hidden, self.symbols)
        pitches = self.kinds.count_K[PITCH]
        self.intervals = Intervals(Voices(first=0, end=voices, lowest=0, pitches=pitches))

    @property
    def conditions(self) -> tuple[ConditionSpec, ...]:
        """Those that the model uses."""
        return self.conditioning.specs if self.conditioning else ()

    def given(self, codes_BK: Tensor | None) -> Given | None:
        """Of the codes of all conditions of an encoding, those that the model uses."""
        if self.conditioning is None or codes_BK is None:
            return None
        return Given(self.conditioning.pick(codes_BK))

    def kinds_of(self, tokens_BT: Tensor) -> Tensor:
        """The kind of every token; OUTSIDE after the end of a piece."""
        return torch.where(tokens_BT == PAD, names.OUTSIDE, self.kind_V[tokens_BT.clamp(min=0)])

    def free(self, kinds_BT: Tensor) -> Tensor:
        """Which tokens are values, all that the outline does not say."""
        return torch.isin(kinds_BT, torch.tensor(VALUES, device=kinds_BT.device))

    def seen(self, tokens_BT: Tensor, kinds_BT: Tensor, hidden_BT: Tensor) -> Seen:
        """What is known where some tokens are hidden."""
        shown_BT = tokens_BT.masked_fill(hidden_BT | (tokens_BT == PAD), UNKNOWN)
        return Seen(shown_BT, kinds_BT, notes_of(self.kinds, shown_BT, kinds_BT, self.bar_steps_V))

    def logits(self, seen: Seen, hidden_BT: Tensor, given: Given | None = None) -> Tensor:
        """Logits of the hidden tokens, (M, V), in the order of `hidden_BT.nonzero()`; minus
        infinity where a token is of another kind.
        """
        codes_BTC = self._codes(seen)
        x_BTD = self.cells(codes_BTC)
        if self.conditioning is not None:
            codes_BC = given.codes_BC if given else None
            if codes_BC is None:
                codes_BC = self.conditioning.not_given(len(x_BTD))
            x_BTD = x_BTD + self.conditioning(codes_BC)[:, None]
        y_BTD = self.trunk(x_BTD, seen.kinds_BT != names.OUTSIDE)
        y_MH = self.to_tokens(y_BTD[hidden_BT]) + self.own(codes_BTC[hidden_BT])
        logits_MV: Tensor = self.to_symbols(F.silu(self.norm(y_MH)))
        logits_MV = logits_MV + self._fits(seen, hidden_BT, logits_MV)
        other_MV = self.kind_V != seen.kinds_BT[hidden_BT][:, None]
        return logits_MV.masked_fill(other_MV, -torch.inf)

    def _fits(self, seen: Seen, hidden_BT: Tensor, like_MV: Tensor) -> Tensor:
        """What intervals say of hidden pitches of known voices, (M, V)."""
        notes, pitches = seen.notes, self.kinds.count_K[PITCH]
        asked_BT = hidden_BT & (seen.kinds_BT == PITCH) & (notes.voice_BT >= 0)
        piece_N, place_N = asked_BT.nonzero(as_tuple=True)
        rows_BGU = torch.full(notes.pitches_BGU.shape, -1, device=hidden_BT.device)
        numbers_BT = hidden_BT.flatten().cumsum(0).view_as(hidden_BT) - 1
        index = (piece_N, notes.onset_BT[piece_N, place_N], notes.voice_BT[piece_N, place_N])
        rows_BGU[index] = numbers_BT[piece_N, place_N]
        cells_BGU = rows_BGU >= 0
        known_BGU = notes.pitches_BGU < pitches
        fits_NP = self.intervals(notes.pitches_BGU, known_BGU, notes.around, cells_BGU)
        block = self.kinds.block(PITCH)
        wide_NV = F.pad(fits_NP, (block.start, self.symbols - block.stop)).to(like_MV.dtype)
        return torch.zeros_like(like_MV).index_add(0, rows_BGU[cells_BGU], wide_NV)

    def _codes(self, seen: Seen) -> Tensor:
        """What is known of every token as numbers below `_sizes`, (B, T, C)."""
        shown_BT, kinds_BT, notes = seen
        counts, pitches = counts_of(kinds_BT), self.kinds.count_K[PITCH]
        meter_BT = self.outline.meter_codes(shown_BT.clamp(min=0), kinds_BT)
        codes = [torch.where(shown_BT < 0, self.symbols, shown_BT), kinds_BT, meter_BT]
        codes += [counts.onsets, counts.notes, counts.onsets_before]
        codes += around_of(kinds_BT, shown_BT, self.symbols)
        near = [notes.at_tokens(values).unbind(2) for values in notes.around]
        codes += [value for values in near for value in values]
        codes += notes.at_tokens(notes.dues_BGU).unbind(2)
        codes += [notes.at_tokens(notes.next_BG), notes.own(notes.room_BGU, LONGEST + 1)]
        codes += [notes.voice_BT + 1]
        codes += [notes.own(values, pitches) for values in notes.around[:2]]
        return torch.stack(codes, dim=-1)

    def _sizes(self) -> list[int]:
        voices, pitches = self.kinds.count_K[VOICE], self.kinds.count_K[PITCH]
        sizes = [self.symbols + 1, names.OUTSIDE + 1, self.kinds.count_K[METER] + 1]
        sizes += [ONSETS + 1, NOTES + 1, ONSETS + 1]
        sizes += [self.symbols + 1] * (2 * len(VALUES))
        sizes += [pitches + 1] * (2 * voices) + [FARTHEST + 1] * (2 * voices)
        sizes += [LATER + 1] * voices + [LONGEST + 1, LONGEST + 2, voices + 1]
        return sizes + [pitches + 1] * 2

    def bound(
        self,
        tokens_BT1: Tensor,
        shares_B: Tensor,
        start_B: Tensor,
        given: Given | None = None,
        lots_BTW: Tensor | None = None,
    ) -> Tensor:
        """An unbiased estimate of the nats of values revealed in a random order, (B, T, 1).

        Arguments as of family absorbing: a hidden value counts N / k times, of N values k hidden.
        """
        tokens_BT = tokens_BT1[..., 0]
        kinds_BT = self.kinds_of(tokens_BT)
        free_BT1 = self.free(kinds_BT)[..., None]
        counts_B = free_BT1.sum(dim=(1, 2))
        counts = (shares_B * counts_B).ceil().clamp(min=1).long()
        hidden_BT = hide(free_BT1, counts, lots_BTW)[..., 0]
        logits_MV = self.logits(self.seen(tokens_BT, kinds_BT, hidden_BT), hidden_BT, given)
        nats_M = F.cross_entropy(logits_MV.float(), tokens_BT[hidden_BT], reduction="none")
        nats_BT = nats_M.new_zeros(hidden_BT.shape).masked_scatter(hidden_BT, nats_M)
        weights_B = counts_B / hidden_BT.sum(dim=1).clamp(min=1)
        return (nats_BT * weights_B[:, None])[..., None]

    def bar_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Nats of the outlines of a training batch."""
        return self._outline_nats(batch["targets"], batch["start"]).sum()

    def with_bars(self, nats_BT1: Tensor, tokens_BT1: Tensor) -> Tensor:
        """Nats of whole pieces: of values as they are given, of outlines exactly; 0 at PAD."""
        start_B = torch.zeros(len(tokens_BT1), dtype=torch.long, device=tokens_BT1.device)
        return (nats_BT1 + self._outline_nats(tokens_BT1, start_B)) * (tokens_BT1 != PAD)

    def _outline_nats(self, tokens_BT1: Tensor, start_B: Tensor) -> Tensor:
        tokens_BT = tokens_BT1[..., 0]
        kinds_BT = self.kinds_of(tokens_BT)
        return self.outline.nats(tokens_BT.clamp(min=0), kinds_BT, start_B)[..., None]


class _Codes(nn.Module):
    """The sum of learned vectors, one for each code."""

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), width)
        nn.init.normal_(self.table.weight, std=0.1)
        first_C = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("first_C", first_C, persistent=False)

    first_C: Tensor

    def forward(self, codes: Tensor) -> Tensor:
        """(…, C) to (…, width)."""
        flat = (codes + self.first_C).flatten(0, -2)
        sums = F.embedding_bag(flat, self.table.weight, mode="sum")
        return sums.view(*codes.shape[:-1], -1)
