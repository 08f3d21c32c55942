"""What a voice's logits gain by intervals: a few learned tables, the same in every key.

A candidate pitch c of a voice gets the sum of
- melody[c - its own pitch before],
- for every voice u already chosen: pair[c - u] + motion[interval before mod 12, direction of u,
  c - u], which tells parallel fifths and octaves from others,
- for inner voices: chord[pitches chosen before, above the bass, mod 12; c above the bass, mod 12].
Four voices over 46 pitches need about 22,000 weights. Tables begin at zero and are stored divided
by `speed`, so that they learn faster: a rule is worth several nats. A voice that rests or is before
the piece has no interval and gives nothing. With a hold symbol, that symbol gets what the pitch
that it prolongs would get.
"""

# B batch, T positions, N = B * T, W sub-tokens of a position, K voices, P pitches, R rows

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models.spec import Voices

OCTAVE = 12
UNKNOWN = OCTAVE  # class of an interval before that is not known
CLASSES = (OCTAVE + 1) * 3  # interval before, direction of the other voice
CHORD_NOTES = 2  # at most so many voices above the bass tell the chord


@dataclass
class Heard:
    """State of a batch of sequences: the rows of the tables, (R, P), and the previous position,
    (B, W), with pitches in place of holds.
    """

    rows_RP: Tensor
    sounding_BW: Tensor

    def select(self, index_B: Tensor) -> None:
        """Keep these sequences, in this order."""
        self.sounding_BW = self.sounding_BW.index_select(0, index_B)


class Intervals(nn.Module):
    """The tables of K voices. order: in which the columns of a position are chosen."""

    def __init__(self, voices: Voices, order: tuple[int, ...], speed: float) -> None:
        super().__init__()
        self.voices, self.speed = voices, speed
        ranks = [column - voices.first for column in order]
        ranks = [voice for voice in ranks if 0 <= voice < voices.end - voices.first]
        self.before = {voice: ranks[:place] for place, voice in enumerate(ranks)}
        self.chord_of = {voice: self._chord_of(voice) for voice in ranks}
        pairs, span = len(ranks) * (len(ranks) - 1) // 2, 2 * voices.pitches - 1
        self.melody = nn.Parameter(torch.zeros(len(ranks), span))
        self.pair = nn.Parameter(torch.zeros(pairs, 1, span))
        self.motion = nn.Parameter(torch.zeros(pairs, CLASSES, span))
        sizes = [OCTAVE ** len(self.chord_of[voice]) for voice in ranks if self.chord_of[voice]]
        self.chord = nn.Parameter(torch.zeros(max(1, sum(sizes)), OCTAVE))  # FSDP wants rows
        P = voices.pitches
        places = [0, *accumulate(len(self.before[voice]) for voice in ranks)]
        self._first_pair = {
            voice: 1 + (len(ranks) + CLASSES * place) * P
            for voice, place in zip(ranks, places, strict=False)
        }
        chords, first = [voice for voice in ranks if self.chord_of[voice]], 1 + P * len(ranks)
        begins = [0, *accumulate(sizes)]
        self._first_chord = {
            voice: first + P * CLASSES * pairs + OCTAVE * begin
            for voice, begin in zip(chords, begins, strict=False)
        }

    def _chord_of(self, voice: int) -> list[int]:
        """The voices that tell the chord for this one: those before it, if the bass is one."""
        bass, before = self.voices.end - self.voices.first - 1, self.before[voice]
        others = [other for other in before if other != bass]
        return others[-CHORD_NOTES:] if bass in before else []

    def rows(self) -> Tensor:
        """All tables by what is known before the candidate, (R, P); row 0 is zero.

        A window of a table over intervals is a row over candidates.
        """
        P = self.voices.pitches
        by_pair = (self.pair + self.motion).unfold(-1, P, 1)
        steps = torch.arange(max(P, OCTAVE), device=self.chord.device)
        above = (steps[:P] - steps[:OCTAVE, None]) % OCTAVE  # at [bass mod 12, candidate]
        parts = (self.melody.unfold(-1, P, 1), by_pair, self.chord[:, above])
        found = torch.cat([self.chord.new_zeros(1, P), *(part.reshape(-1, P) for part in parts)])
        return found * self.speed

    def forward(self, logits_BTWV: Tensor, previous_BTW: Tensor, targets_BTW: Tensor) -> Tensor:
        """The logits with the values of the tables, for true sub-tokens as those already chosen.

        previous_BTW: the positions before.
        """
        voices, (*shape, _, V) = self.voices, logits_BTWV.shape
        sounding_BTW = sounding_rows(previous_BTW, voices.hold)
        before_NK = self._pitches(sounding_BTW.flatten(0, 1))
        chosen_NK = self._pitches(targets_BTW.flatten(0, 1), before_NK)
        known = [self._known(voice, chosen_NK, before_NK) for voice in range(before_NK.shape[1])]
        longest = max(bag.shape[1] for bag in known)
        known_NKX = torch.stack([F.pad(bag, (0, longest - bag.shape[1])) for bag in known], dim=1)
        rows_RP = self.rows()
        gains = F.embedding_bag(known_NKX.flatten(0, 1), rows_RP, mode="sum", padding_idx=0)
        gains_NKP = gains.view(*before_NK.shape, voices.pitches)
        gained = F.pad(gains_NKP, (voices.lowest, V - voices.lowest - voices.pitches))
        if voices.hold >= 0:
            gained[..., voices.hold] = _at(gains_NKP, before_NK)
        columns = logits_BTWV.shape[2]
        gained = F.pad(gained, (0, 0, voices.first, columns - voices.end))
        return logits_BTWV + gained.view(*shape, columns, V)

    def begin(self, blank_BW: Tensor) -> Heard:
        """The state before the first position, of symbols that mean so."""
        return Heard(self.rows(), blank_BW.clone())

    def push(self, row_BW: Tensor, heard: Heard) -> None:
        """Move the state by a whole position."""
        goes_on = row_BW == self.voices.hold
        heard.sounding_BW = torch.where(goes_on, heard.sounding_BW, row_BW)

    def step(self, logits_BV: Tensor, column: int, row_BW: Tensor, heard: Heard) -> Tensor:
        """The same for one column of one position; row_BW: with those that are chosen."""
        voices, voice = self.voices, column - self.voices.first
        if voice not in self.before:
            return logits_BV
        before_BK = self._pitches(heard.sounding_BW)
        known_BX = self._known(voice, self._pitches(row_BW, before_BK), before_BK)
        gains_BP = F.embedding_bag(known_BX, heard.rows_RP, mode="sum", padding_idx=0)
        rest = logits_BV.shape[1] - voices.lowest - voices.pitches
        gained_BV = F.pad(gains_BP, (voices.lowest, rest))
        if voices.hold >= 0:
            gained_BV[:, voices.hold] = _at(gains_BP, before_BK[:, voice])
        return logits_BV + gained_BV

    def _pitches(self, rows: Tensor, before_NK: Tensor | None = None) -> Tensor:
        """Pitches from the lowest, (N, K); -1 for anything else. before_NK: what holds prolong."""
        voices = self.voices
        symbols_NK = rows[:, voices.first : voices.end]
        pitch_NK = symbols_NK - voices.lowest
        inside_NK = (pitch_NK >= 0) & (pitch_NK < voices.pitches)
        pitch_NK = torch.where(inside_NK, pitch_NK, -1)
        if voices.hold < 0 or before_NK is None:
            return pitch_NK
        return torch.where(symbols_NK == voices.hold, before_NK, pitch_NK)

    def _known(self, voice: int, chosen_NK: Tensor, before_NK: Tensor) -> Tensor:
        """Numbers of the rows that a voice's candidates get, (N, X); 0 where one is not known."""
        P, others = self.voices.pitches, self.before[voice]
        mine_N1 = before_NK[:, voice : voice + 1]
        melody_N1 = torch.where(mine_N1 >= 0, (voice + 1) * P - mine_N1, 0)
        if not others:
            return melody_N1
        chosen_NU, before_NU = chosen_NK[:, others], before_NK[:, others]
        both_NU = (before_NU >= 0) & (mine_N1 >= 0)
        interval_NU = torch.where(both_NU, (mine_N1 - before_NU) % OCTAVE, UNKNOWN)
        moved_NU = torch.where(before_NU >= 0, torch.sign(chosen_NU - before_NU), 0)
        first = self._first_pair[voice]
        numbers = torch.arange(len(others), device=chosen_NK.device) * CLASSES
        class_NU = numbers + interval_NU * 3 + moved_NU + 1
        pair_NU = torch.where(chosen_NU >= 0, first + (class_NU + 1) * P - 1 - chosen_NU, 0)
        parts = [melody_N1, pair_NU]
        if chord := self.chord_of[voice]:
            bass_N, number_N = chosen_NK[:, -1], torch.zeros_like(chosen_NK[:, -1])
            there_N = bass_N >= 0
            for other in chord:
                number_N = number_N * OCTAVE + (chosen_NK[:, other] - bass_N) % OCTAVE
                there_N = there_N & (chosen_NK[:, other] >= 0)
            row_N = self._first_chord[voice] + number_N * OCTAVE + bass_N % OCTAVE
            parts.append(torch.where(there_N, row_N, 0)[:, None])
        return torch.cat(parts, dim=1)


def sounding_rows(rows_BTW: Tensor, hold: int) -> Tensor:
    """Every hold replaced by the last symbol before that is none; the first symbols as they are."""
    if hold < 0:
        return rows_BTW
    steps_T1 = torch.arange(rows_BTW.shape[1], device=rows_BTW.device)[:, None]
    last_BTW = torch.where(rows_BTW != hold, steps_T1, 0).cummax(dim=1).values
    return rows_BTW.gather(1, last_BTW)


def _at(gains: Tensor, pitch: Tensor) -> Tensor:
    """What the tables give the pitch that a hold prolongs; 0 where it is not known."""
    found = gains.gather(-1, pitch.clamp(min=0)[..., None])[..., 0]
    return torch.where(pitch >= 0, found, 0.0)
