"""What intervals say about a voice's next cell, the same in every key.

A candidate pitch c of a voice gets learned values

- by its interval to the voice's own cell before,
- for every voice u chosen before it: by c − u, with the interval between both in the row before,
  modulo 12, and the direction in which u moved, which tells parallel fifths from others,
- by the chord: the pitches chosen before, and c, above the lowest voice, modulo 12.

Autoregressive families have the same tables (models/autoregressive/parts/intervals.py), where holds
count too.
"""

# M positions, V voices in the order in which they are chosen, P pitches, R rows, X known things

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.spec import Voices

OCTAVE = 12
MOTIONS = (OCTAVE + 1) * 3  # interval before, 12 where it is not known; direction of the other
SPEED = 2.0  # how much faster tables learn
CHORD_NOTES = 2  # at most so many voices above the lowest one tell the chord


class Intervals(nn.Module):
    """Additions to the logits of pitches. order: numbers of the voices as they are chosen."""

    def __init__(self, voices: Voices, order: tuple[int, ...]) -> None:
        super().__init__()
        count = len(order)
        self.pitches, self.lowest = voices.pitches, voices.lowest
        span, pairs = 2 * voices.pitches - 1, count * (count - 1) // 2
        self.melody = nn.Parameter(torch.zeros(count, span))
        self.pair = nn.Parameter(torch.zeros(max(1, pairs), 1, span))
        self.motion = nn.Parameter(torch.zeros(max(1, pairs), MOTIONS, span))
        self.bass = order.index(count - 1)
        above = [[v for v in range(voice) if v != self.bass] for voice in range(count)]
        self.chords = [
            found[-CHORD_NOTES:] if self.bass < voice else [] for voice, found in enumerate(above)
        ]
        sizes = [OCTAVE ** len(found) if found else 0 for found in self.chords]
        self.starts = [sum(sizes[:voice]) for voice in range(count)]
        self.chord = nn.Parameter(torch.zeros(max(1, sum(sizes)), OCTAVE))

    def rows(self) -> Tensor:
        """A row of values over candidates for each thing that can be known, (R, P); the last one,
        for what is not known, is 0.
        """
        P = self.pitches
        steps = torch.arange(max(P, OCTAVE), device=self.chord.device)
        above = (steps[:P] - steps[:OCTAVE, None]) % OCTAVE  # at [lowest voice mod 12, candidate]
        parts = (
            self.melody.unfold(-1, P, 1),
            (self.pair + self.motion).unfold(-1, P, 1),
            self.chord[:, above],
            self.chord.new_zeros(1, P),
        )
        return torch.cat([part.reshape(-1, P) for part in parts]) * SPEED

    def forward(self, rows_RP: Tensor, last_MV: Tensor, beside_MVV: Tensor) -> Tensor:
        """Values for every candidate pitch of every voice, (M, V, P).

        rows_RP: of `rows`. last_MV: the row before. beside_MVV: for each voice, the row as far as
        it is chosen. Symbols that are no pitches say nothing.
        """
        known_MVX = self._known(self._pitch(last_MV), self._pitch(beside_MVV), len(rows_RP) - 1)
        sums = F.embedding_bag(known_MVX.flatten(0, 1), rows_RP, mode="sum")
        return sums.view(*last_MV.shape, self.pitches)

    def _pitch(self, symbols: Tensor) -> Tensor:
        """Pitches from the lowest; -1 for anything else."""
        pitch = symbols - self.lowest
        return torch.where((pitch >= 0) & (pitch < self.pitches), pitch, -1)

    def _known(self, last_MV: Tensor, beside_MVV: Tensor, nothing: int) -> Tensor:
        """Numbers of the rows that each voice's candidates get, (M, V, X)."""
        P, count = self.pitches, last_MV.shape[1]
        voices = torch.arange(count, device=last_MV.device)
        parts = [torch.where(last_MV >= 0, (voices + 1) * P - 1 - last_MV, nothing)[..., None]]
        pair_VV = (voices * (voices - 1) // 2)[:, None] + voices
        before_MVV = (last_MV[:, :, None] - last_MV[:, None]) % OCTAVE
        both = (last_MV[:, :, None] >= 0) & (last_MV[:, None] >= 0)
        before_MVV = torch.where(both, before_MVV, OCTAVE)
        moved_MVV = torch.where(last_MV[:, None] >= 0, (beside_MVV - last_MV[:, None]).sign(), 0)
        class_MVV = pair_VV * MOTIONS + before_MVV * 3 + moved_MVV + 1
        pairs = (count + class_MVV + 1) * P - 1 - beside_MVV
        parts.append(torch.where(beside_MVV >= 0, pairs, nothing))
        parts.append(self._chord(beside_MVV, nothing)[..., None])
        return torch.cat(parts, dim=2)

    def _chord(self, beside_MVV: Tensor, nothing: int) -> Tensor:
        """Numbers of the chords' rows, (M, V)."""
        bass_MV = beside_MVV[:, :, self.bass]
        first = self.pitches * (len(self.melody) + len(self.pair) * MOTIONS)
        found = torch.full_like(bass_MV, nothing)
        for voice, chord in enumerate(self.chords):
            if not chord:
                continue
            bass_M, others = bass_MV[:, voice], beside_MVV[:, voice, chord]
            number_M = torch.zeros_like(bass_M)
            for place in range(len(chord)):
                number_M = number_M * OCTAVE + (others[:, place] - bass_M) % OCTAVE
            row_M = first + (self.starts[voice] + number_M) * OCTAVE + bass_M % OCTAVE
            there_M = (bass_M >= 0) & (others >= 0).all(dim=1)
            found[:, voice] = torch.where(there_M, row_M, nothing)
        return found
