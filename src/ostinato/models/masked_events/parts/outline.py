"""How many bars, onsets and notes there are, and the meters: an exact distribution of its own.

The outline of a piece is the kinds of its tokens and its meters. It is written from left to right,
as bar lines are on grids (layers/bar_lines.py): after a meter or a note comes another note at the
same time, a later position, a bar or the end. All other kinds follow from the one before.
"""

# B batch, T positions, H width, C choices

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.masked_events.parts.kinds import (
    BAR,
    DURATION,
    END,
    METER,
    PITCH,
    POSITION,
    VOICE,
    Kinds,
)

CHOICES = (END, BAR, POSITION, VOICE)
ONSETS, NOTES = 16, 4  # of a bar, of an onset; more look alike
STRETCH, STRETCHES = 64, 48  # tokens since the beginning are told in stretches
HIDDEN = 64


class Counts(NamedTuple):
    """At every token, itself included, (B, T) each: onsets in the bar, notes of the onset; the same
    of the bar and the onset before; bars that have begun.
    """

    onsets: Tensor
    notes: Tensor
    onsets_before: Tensor
    notes_before: Tensor
    bars: Tensor


def counts_of(kinds_BT: Tensor) -> Counts:
    """What the kinds of tokens say."""
    bar_BT, onset_BT = kinds_BT == BAR, kinds_BT == POSITION
    onsets_BT = _since(onset_BT, bar_BT)
    notes_BT = _since(kinds_BT == PITCH, onset_BT | bar_BT)
    return Counts(
        onsets_BT.clamp(max=ONSETS),
        notes_BT.clamp(max=NOTES),
        _before(onsets_BT, bar_BT).clamp(max=ONSETS),
        _before(notes_BT, onset_BT | bar_BT).clamp(max=NOTES),
        bar_BT.cumsum(dim=1),
    )


def latest(values_BT: Tensor, marked_BT: Tensor, nothing: int) -> Tensor:
    """At every place the value of the last marked one, itself included; `nothing` before."""
    steps_T = torch.arange(values_BT.shape[1], device=values_BT.device)
    last_BT = torch.where(marked_BT, steps_T, -1).cummax(dim=1).values
    return values_BT.gather(1, last_BT.clamp(min=0)).masked_fill(last_BT < 0, nothing)


def _since(counted_BT: Tensor, marked_BT: Tensor) -> Tensor:
    """How many are counted after the last mark."""
    total_BT = counted_BT.cumsum(dim=1)
    return total_BT - latest(total_BT, marked_BT, 0)


def _before(values_BT: Tensor, marked_BT: Tensor) -> Tensor:
    """The value just before the last mark; 0 where there is none."""
    return latest(F.pad(values_BT, (1, 0))[:, :-1], marked_BT, 0)


class Outline(nn.Module):
    """What may come next after a meter or a note, and which meter a bar has."""

    def __init__(self, kinds: Kinds) -> None:
        super().__init__()
        self.kinds, meters = kinds, kinds.count_K[METER]
        sizes = ((ONSETS + 1) * (NOTES + 1), ONSETS + 1, NOTES + 1, meters + 1, STRETCHES)
        self.tables = nn.ModuleList(nn.Embedding(size, HIDDEN) for size in sizes)
        self.out = nn.Linear(HIDDEN, len(CHOICES))
        self.meters = nn.Parameter(torch.zeros(meters + 1, meters))
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.3)  # type: ignore[arg-type]

    def nats(self, tokens_BT: Tensor, kinds_BT: Tensor, start_B: Tensor) -> Tensor:
        """Of every token, what its kind and its meter cost given all before it, (B, T).

        start_B: tokens before the first. What a crop does not show, the bar and the meter before
        its own, is not scored.
        """
        counts, meter_BT = counts_of(kinds_BT), self.meter_codes(tokens_BT, kinds_BT)
        whole_B1 = (start_B == 0)[:, None]
        places_BT = start_B[:, None] + torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        after_BT = F.pad(kinds_BT, (0, 1), value=-1)[:, 1:]
        chosen_BTC = after_BT[..., None] == torch.tensor(CHOICES, device=tokens_BT.device)
        asked_BT = ((kinds_BT == METER) | (kinds_BT == DURATION)) & chosen_BTC.any(dim=2)
        asked_BT = asked_BT & (whole_B1 | (counts.bars >= 2))
        logits = self.logits(counts, meter_BT, places_BT)[asked_BT]
        costs = F.cross_entropy(
            logits.float(), chosen_BTC.int().argmax(2)[asked_BT], reduction="none"
        )
        nats_BT = costs.new_zeros(tokens_BT.shape).masked_scatter(asked_BT, costs)
        nats_BT = F.pad(nats_BT, (1, 0))[:, :-1]
        named_BT = kinds_BT == METER
        before_BT = F.pad(meter_BT, (1, 0))[:, :-1]
        named_BT = named_BT & (whole_B1 | (before_BT > 0))
        first = self.kinds.first_K[METER]
        costs = F.cross_entropy(
            self.meters[before_BT[named_BT]].float(), tokens_BT[named_BT] - first, reduction="none"
        )
        return nats_BT + costs.new_zeros(tokens_BT.shape).masked_scatter(named_BT, costs)

    def meter_codes(self, tokens_BT: Tensor, kinds_BT: Tensor) -> Tensor:
        """The number of the meter at every token, from 1; 0 where none was named yet."""
        first = self.kinds.first_K[METER]
        return latest(tokens_BT - first + 1, kinds_BT == METER, 0)

    def logits(self, counts: Counts, meter_BT: Tensor, places_BT: Tensor) -> Tensor:
        """Of the CHOICES after every token, (B, T, C). places_BT: tokens before it."""
        codes = (
            counts.onsets * (NOTES + 1) + counts.notes,
            counts.onsets_before,
            counts.notes_before,
            meter_BT,
            (places_BT // STRETCH).clamp(max=STRETCHES - 1),
        )
        x = torch.stack([table(code) for table, code in zip(self.tables, codes, strict=True)])
        logits: Tensor = self.out(F.silu(x.sum(dim=0)))
        return logits
