"""What intervals say about a hidden cell, the same in every key.

For each candidate pitch: a learned value by its interval to the nearest known pitches of every
voice, before and after, by how far away they are; one by its interval to the pitch classes that
are known around it, which says what fits the key; one by the pitch classes of the other voices at
its step, which says what completes a chord; and one by how each other voice moves into or out of
the step and the interval there, which tells parallel fifths and octaves from others.
"""

# B batch, T positions, W voices, M hidden cells, P pitches, C pitch classes, R rows, X of a bag

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.masked.parts.neighbors import Neighbors
from ostinato.models.spec import Voices

LIMITS = (0, 1, 2, 4, 8, 16)  # steps: the last distance of each class; farther ones are the last
AROUND = 64  # steps on both sides whose pitch classes say the key
CLASSES = 12
FEW = 4.0  # known cells: with fewer, the key is uncertain
BRIDGE = 8  # steps: a note that sounds on both sides of so short a gap is taken to be held in it
UNKNOWN = -1
SPEED, RULE_SPEED = 2.0, 4.0  # tables learn faster: a rule is worth several nats in 1,000 steps


class Intervals(nn.Module):
    """Additions to the logits of pitches."""

    def __init__(self, voices: Voices) -> None:
        super().__init__()
        self.count, self.pitches = voices.end - voices.first, voices.pitches
        self.lowest = voices.lowest
        pairs, span = self.count * self.count, 2 * voices.pitches - 1
        self.near = nn.Parameter(torch.zeros(pairs * 2 * (len(LIMITS) + 1), span))
        self.motion = nn.Parameter(torch.zeros(pairs * 2 * 2 * CLASSES, span))
        self.key = nn.Parameter(torch.zeros(self.count, CLASSES))
        self.chord = nn.Parameter(torch.zeros(self.count, 2**CLASSES))

    def forward(
        self, shown_BTW: Tensor, known_BTW: Tensor, around: Neighbors, hidden_BTW: Tensor
    ) -> Tensor:
        """Values for each hidden cell and pitch, (M, P)."""
        places = hidden_BTW.nonzero()
        pitch_BTW = self._presumed(shown_BTW, known_BTW, around)
        bags_MX = torch.cat(
            [self._near_rows(around, places), self._motion_rows(pitch_BTW, places)], dim=1
        )
        sums_MP = F.embedding_bag(bags_MX, self._rows(), mode="sum", padding_idx=0)
        return (
            sums_MP + self._to_key(shown_BTW, known_BTW, places) + self._to_chord(pitch_BTW, places)
        )

    def _rows(self) -> Tensor:
        """Tables over intervals as rows over candidates, (R, P), a window each; row 0 is zero."""
        tables = torch.cat([SPEED * self.near, RULE_SPEED * self.motion])
        windows = tables.unfold(-1, self.pitches, 1)
        return torch.cat([windows.new_zeros(1, self.pitches), windows.reshape(-1, self.pitches)])

    def _row(self, kind: Tensor, pitch: Tensor, told: Tensor) -> Tensor:
        """The row of a table for candidates above a pitch; 0 where nothing is told."""
        return torch.where(told, 1 + kind * self.pitches + self.pitches - 1 - pitch, 0)

    def _near_rows(self, around: Neighbors, places: Tensor) -> Tensor:
        """By the interval to the nearest known pitches of every voice and their distances."""
        batch_M, step_M, voice_M = places.unbind(1)
        limits = torch.tensor(LIMITS, device=places.device)
        sides = ((around.before, around.since), (around.after, around.until))
        numbers_W = torch.arange(self.count, device=places.device)
        rows = []
        for side, (symbols, distances) in enumerate(sides):
            pitch_MW = symbols[batch_M, step_M] - self.lowest
            class_MW = torch.bucketize(distances[batch_M, step_M], limits)
            kind_MW = (voice_M[:, None] * self.count + numbers_W) * 2 + side
            kind_MW = kind_MW * (len(LIMITS) + 1) + class_MW
            rows.append(self._row(kind_MW, pitch_MW, (pitch_MW >= 0) & (pitch_MW < self.pitches)))
        return torch.cat(rows, dim=1)

    def _motion_rows(self, pitch_BTW: Tensor, places: Tensor) -> Tensor:
        """By the interval to each voice a step away, and how that voice moves from there."""
        batch_M, step_M, voice_M = places.unbind(1)
        numbers_W = torch.arange(self.count, device=places.device)
        padded = F.pad(pitch_BTW, (0, 0, 1, 1), value=UNKNOWN)
        now_MW = padded[batch_M, step_M + 1]
        rows = []
        for side in (0, 1):
            there_MW = padded[batch_M, step_M + 2 * side]
            own_M1 = there_MW.gather(1, voice_M[:, None])
            told_MW = (now_MW >= 0) & (there_MW >= 0) & (own_M1 >= 0) & (now_MW != there_MW)
            kind_MW = (voice_M[:, None] * self.count + numbers_W) * 4 + 2 * side
            kind_MW = (kind_MW + (now_MW > there_MW)) * CLASSES + (own_M1 - there_MW) % CLASSES
            other_MW = numbers_W != voice_M[:, None]
            rows.append(self._row(len(self.near) + kind_MW, now_MW, told_MW & other_MW))
        return torch.cat(rows, dim=1)

    def _presumed(self, shown_BTW: Tensor, known_BTW: Tensor, around: Neighbors) -> Tensor:
        """Pitches from the lowest, of known cells and of those within a held note; UNKNOWN."""
        held_BTW = (around.before == around.after) & (around.since + around.until <= BRIDGE)
        pitch_BTW = torch.where(known_BTW, shown_BTW, around.before) - self.lowest
        there_BTW = (known_BTW | held_BTW) & (pitch_BTW >= 0) & (pitch_BTW < self.pitches)
        return pitch_BTW.where(there_BTW, UNKNOWN)

    def _to_chord(self, pitch_BTW: Tensor, places: Tensor) -> Tensor:
        """By the set of pitch classes of the other voices, seen from the candidate."""
        batch_M, step_M, voice_M = places.unbind(1)
        pitch_MW = pitch_BTW[batch_M, step_M].scatter(1, voice_M[:, None], UNKNOWN)
        heard_MC = F.one_hot(pitch_MW.clamp(min=0) % CLASSES, CLASSES) * (pitch_MW >= 0)[..., None]
        heard_MC = heard_MC.amax(dim=1)
        steps_C = torch.arange(CLASSES, device=places.device)
        above_CC = (steps_C[:, None] + steps_C) % CLASSES  # candidate, interval above it
        number_MC = (heard_MC[:, above_CC] << steps_C).sum(dim=2)
        fits_MC = self.chord[voice_M[:, None], number_MC] * RULE_SPEED
        return fits_MC[:, torch.arange(self.pitches, device=places.device) % CLASSES]

    def _to_key(self, shown_BTW: Tensor, known_BTW: Tensor, places: Tensor) -> Tensor:
        sums_BTC = classes_around(shown_BTW - self.lowest, known_BTW, self.pitches)
        shares_BTC = sums_BTC / (sums_BTC.sum(dim=2, keepdim=True) + FEW)
        batch_M, step_M, voice_M = places.unbind(1)
        steps_C = torch.arange(CLASSES, device=places.device)
        above_CC = (steps_C[:, None] - steps_C) % CLASSES  # candidate, known
        fits_MC = (self.key[:, above_CC][voice_M] * shares_BTC[batch_M, step_M][:, None]).sum(dim=2)
        return fits_MC[:, torch.arange(self.pitches, device=places.device) % CLASSES]


def classes_around(pitch_BTW: Tensor, known_BTW: Tensor, pitches: int) -> Tensor:
    """How many cells of each pitch class are known within AROUND steps, (B, T, C).

    pitch_BTW: from the lowest; what is outside of [0, pitches) is none.
    """
    heard_BTW = known_BTW & (pitch_BTW >= 0) & (pitch_BTW < pitches)
    classes = F.one_hot(pitch_BTW.clamp(min=0) % CLASSES, CLASSES) * heard_BTW[..., None]
    values_BTC = classes.sum(dim=2).float()
    length = values_BTC.shape[1]
    total = F.pad(values_BTC.cumsum(dim=1), (0, 0, 1, 0))
    steps_T = torch.arange(length, device=values_BTC.device)
    last_T = (steps_T + AROUND + 1).clamp(max=length)
    return total[:, last_T] - total[:, (steps_T - AROUND).clamp(min=0)]
