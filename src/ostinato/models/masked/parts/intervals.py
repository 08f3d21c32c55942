"""What intervals say about a hidden cell, the same in every key.

For each candidate pitch: a learned value by its interval to the nearest known pitches of every
voice, before and after, by how far away they are; and one by its interval to the pitch classes that
are known around it, which says what fits the key.
"""

# B batch, T positions, W voices, M hidden cells, P pitches, C pitch classes

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.masked.parts.neighbors import Neighbors
from ostinato.models.spec import Voices

LIMITS = (0, 1, 2, 4, 8, 16)  # steps: the last distance of each class; farther ones are the last
AROUND = 64  # steps on both sides whose pitch classes say the key
CLASSES = 12
FEW = 4.0  # known cells: with fewer, the key is uncertain


class Intervals(nn.Module):
    """Additions to the logits of pitches."""

    def __init__(self, voices: Voices) -> None:
        super().__init__()
        self.count, self.pitches = voices.end - voices.first, voices.pitches
        self.lowest, self.span = voices.lowest, 2 * voices.pitches - 1
        kinds = self.count * self.count * 2 * (len(LIMITS) + 1)
        self.table = nn.Embedding(kinds * self.span + 1, 1, padding_idx=kinds * self.span)
        self.key = nn.Parameter(torch.zeros(self.count, CLASSES))
        nn.init.zeros_(self.table.weight)

    def forward(
        self, shown_BTW: Tensor, known_BTW: Tensor, around: Neighbors, hidden_BTW: Tensor
    ) -> Tensor:
        """Values for each hidden cell and pitch, (M, P)."""
        places = hidden_BTW.nonzero()
        return self._to_voices(around, places) + self._to_key(shown_BTW, known_BTW, places)

    def _to_voices(self, around: Neighbors, places: Tensor) -> Tensor:
        batch_M, step_M, voice_M = places.unbind(1)
        limits = torch.tensor(LIMITS, device=places.device)
        sides = ((around.before, around.since), (around.after, around.until))
        numbers_W = torch.arange(self.count, device=places.device)
        candidates_P = torch.arange(self.pitches, device=places.device)
        rows = []
        for side, (symbols, distances) in enumerate(sides):
            pitch_MW = symbols[batch_M, step_M] - self.lowest
            class_MW = torch.bucketize(distances[batch_M, step_M], limits)
            kind_MW = (voice_M[:, None] * self.count + numbers_W) * 2 + side
            first_MW = (kind_MW * (len(LIMITS) + 1) + class_MW) * self.span
            place_MPW = (
                first_MW[:, None] + candidates_P[:, None] - pitch_MW[:, None] + self.pitches - 1
            )
            is_pitch_MW = (pitch_MW >= 0) & (pitch_MW < self.pitches)
            rows.append(place_MPW.where(is_pitch_MW[:, None], self.table.num_embeddings - 1))
        places_MPJ = torch.cat(rows, dim=2)
        sums = F.embedding_bag(
            places_MPJ.flatten(0, 1),
            self.table.weight,
            mode="sum",
            padding_idx=self.table.num_embeddings - 1,
        )
        return sums.view(len(places), self.pitches)

    def _to_key(self, shown_BTW: Tensor, known_BTW: Tensor, places: Tensor) -> Tensor:
        pitch_BTW = shown_BTW - self.lowest
        heard_BTW = known_BTW & (pitch_BTW >= 0) & (pitch_BTW < self.pitches)
        classes = F.one_hot(pitch_BTW.clamp(min=0) % CLASSES, CLASSES) * heard_BTW[..., None]
        sums_BTC = _windowed(classes.sum(dim=2).float())
        shares_BTC = sums_BTC / (sums_BTC.sum(dim=2, keepdim=True) + FEW)
        batch_M, step_M, voice_M = places.unbind(1)
        steps_C = torch.arange(CLASSES, device=places.device)
        above_CC = (steps_C[:, None] - steps_C) % CLASSES  # candidate, known
        fits_MC = (self.key[:, above_CC][voice_M] * shares_BTC[batch_M, step_M][:, None]).sum(dim=2)
        return fits_MC[:, torch.arange(self.pitches, device=places.device) % CLASSES]


def _windowed(values_BTC: Tensor) -> Tensor:
    """Sums over AROUND steps on both sides, (B, T, C)."""
    length = values_BTC.shape[1]
    total = F.pad(values_BTC.cumsum(dim=1), (0, 0, 1, 0))
    steps_T = torch.arange(length, device=values_BTC.device)
    last_T = (steps_T + AROUND + 1).clamp(max=length)
    return total[:, last_T] - total[:, (steps_T - AROUND).clamp(min=0)]
